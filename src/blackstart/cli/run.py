"""`blackstart run`: run a drill: break, measure, put back, report."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from blackstart.cli.options import fleet_option, settings_option
from blackstart.cli.prompt import ask_on_terminal
from blackstart.schema.errors import BlackstartError, unknown

if TYPE_CHECKING:
    from blackstart.plan.resolve import Plan
    from blackstart.run.conduct import Display
    from blackstart.run.parts import Outcome
    from blackstart.run.supervisor import Supervisor
    from blackstart.schema.result import Result

CRASHED, INTERRUPTED, UNSAFE = 1, 13, 14


@click.command("run")
@click.argument("drill")
@fleet_option("The fleet to run on.")
@settings_option()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Where the folder of this run goes.",
)
@click.option(
    "--confirm",
    "confirmed",
    multiple=True,
    metavar="NAME",
    help="Answer a manual step of the procedure beforehand, as where there is no terminal.",
)
@click.option("--json", "as_json", is_flag=True, help="Print result.json on stdout, and log lines on stderr.")
def command(
    drill: str, fleet: Path, settings: dict[str, str], out: Path, confirmed: tuple[str, ...], as_json: bool
) -> int:
    """Run a drill: break, measure, put back, report.

    DRILL is a name or a file of drills/*.yaml. Ctrl-C undoes, settles and
    reports. Exit code: 0 pass, 10 an objective missed, 12 inconclusive or
    invalid, 13 aborted and restored, 14 not everything put back, 15 blocked,
    1 this tool failed, 2 wrong usage or files.
    """
    from blackstart.plan.resolve import make_plan
    from blackstart.run.conduct import People, conduct
    from blackstart.run.header import new_run_id

    plan = make_plan(drill, fleet, settings)
    _known(confirmed, plan)
    for note in plan.notes:
        click.echo(str(note), err=True)
    now = datetime.now(UTC)
    run_id = new_run_id(plan.drill.drill, now)
    folder = _folder(out / run_id)
    log = sys.stderr if as_json else sys.stdout
    return asyncio.run(
        conduct(
            plan,
            run_id,
            folder,
            ["blackstart", *sys.argv[1:]],
            now,
            lambda supervisor: _display(plan, supervisor, log),
            lambda outcome: _finish(outcome, folder, as_json),
            People(ask_on_terminal, frozenset(confirmed)),
        )
    )


def _known(confirmed: tuple[str, ...], plan: Plan) -> None:
    steps = [*plan.drill.procedure, *plan.drill.failback_procedure]
    manual = [step.name for step in steps if step.manual is not None]
    for name in confirmed:
        if name not in manual:
            raise click.BadParameter(unknown("manual step", name, manual), param_hint="--confirm")


def exit_code(outcome: Outcome, result: Result | None) -> int:
    """The worst of what is known: not put back, a crash, evidence cut short, the result's own."""
    if outcome.outstanding or (result and result.exit_code == UNSAFE):
        return UNSAFE
    if outcome.crash or result is None:
        return CRASHED
    return INTERRUPTED if outcome.broken else result.exit_code


def _finish(outcome: Outcome, folder: Path, as_json: bool) -> int:
    """Judge, write the reports, tell, and say with what code to exit."""
    from blackstart.cli.resultview import show
    from blackstart.run.publish import judge_folder, publish

    result = None
    try:
        result, lines = judge_folder(folder)
        publish(folder, result, lines)
    except BlackstartError as error:
        click.echo(f"Error: {error}", err=True)
    try:
        if outcome.crash:
            click.echo(f"blackstart crashed during the run; the faults were undone:\n{outcome.crash}", err=True)
        if result and as_json:
            click.echo(result.model_dump_json(indent=2))
        elif result:
            show(result, folder, sys.stdout)
    except OSError:
        _nobody_reads()
    return exit_code(outcome, result)


def _nobody_reads() -> None:
    """The terminal or pipe is gone, the report is written: what is still buffered must not change the exit code."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _display(plan: Plan, supervisor: Supervisor, out: TextIO) -> Display:
    from blackstart.run.display import OnTerminal, Plain
    from blackstart.run.outlook import Outlook

    if not out.isatty() or os.environ.get("TERM") == "dumb":
        return Plain(supervisor.watch, out)
    outlook = Outlook(plan.drill, plan.services, supervisor.watch.streams)
    return OnTerminal(supervisor.watch, outlook, out)


def _folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise BlackstartError(f"{folder}: cannot be made: {error.strerror}; choose another --out") from error
    return folder
