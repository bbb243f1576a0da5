"""The command line: one module per command, loaded only when it is asked for.

A module `blackstart.cli.<name>` has a click command called `command`. What the
command returns is the exit code (None: 0). Errors that a person can act on are
`BlackstartError`s and are printed; anything else is a crash of this tool.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any

import click

from blackstart.schema.errors import BlackstartError

COMMANDS = {
    "lab": "Build, start and stop a fleet made of processes on this machine.",
    "plan": "Say what a run of a drill would do, without doing it.",
    "run": "Run a drill: break, measure, put back, report.",
    "recover": "Put back what an earlier run left broken.",
    "status": "Say which runs go on, who holds locks, and what is still to be put back.",
    "env": "Print the environment for running an experiment under plain `chaos run`.",
    "judge": "Judge the evidence of a run again.",
    "verify": "Check that the evidence of a run was not changed.",
    "lint": "Check content files, or the configuration of a mesh; change nothing.",
    "init": "Copy the shipped drills, experiments and probes to a folder of your own.",
    "guardian": "Watch over a run from inside a cluster; started by the run itself.",
    "guardian-image": "Make the container image of the guardian, without Docker.",
    "schema": "Print or write the JSON Schemas of the content files.",
}
"""The commands in the order of the help, each with what the help says of it."""

_INTERRUPTED = 130
_BROKEN_PIPE = 141


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader went away (`| head`): neither a crash nor a success. What is still buffered goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(_BROKEN_PIPE) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"blackstart.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from blackstart import __version__

        click.echo(f"blackstart {__version__}")
        ctx.exit()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, callback=_version, expose_value=False, is_eager=True, help="Print the version."
)
@click.option("--debug", is_flag=True, help="Print tracebacks.")
def cli(debug: bool) -> None:
    """Chaos and disaster-recovery drills for multi-cluster Kubernetes.

    Breaks a region, a link or a service on purpose, measures what clients
    see, puts everything back, and scores it.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs one command and exits with its code."""
    sys.exit(invoke(list(sys.argv[1:] if arguments is None else arguments)))


def invoke(arguments: list[str]) -> int:
    """Run one command; returns the exit code (0 to 15, 128 + the signal's number)."""
    try:
        code = cli.main(arguments, prog_name="blackstart", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code if isinstance(error, click.UsageError) else 2
    except BlackstartError as error:
        click.echo(f"Error: {error}" if "\n" not in str(error) else str(error), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place where a crash of the tool becomes exit code 1
        return _crashed(error, debug="--debug" in arguments)
    return code if isinstance(code, int) else 0


def _crashed(error: Exception, *, debug: bool) -> int:
    lines = "".join(traceback.format_exception(error))
    if debug:
        click.echo(lines, err=True, nl=False)
        return 1
    with tempfile.NamedTemporaryFile("w", prefix="blackstart-", suffix=".traceback", delete=False) as file:
        file.write(lines)
    summary = traceback.format_exception_only(error)[-1].strip()
    click.echo(f"blackstart crashed: {summary}; the traceback is in {file.name}, or run again with --debug", err=True)
    return 1
