"""The command line itself: help, speed, and how errors end."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from blackstart import __version__, cli
from blackstart.schema.errors import BlackstartError, ContentError, Finding, Place


def commands() -> list[tuple[str, click.Command]]:
    """Every command and subcommand with its full name."""
    found: list[tuple[str, click.Command]] = []
    for name in cli.COMMANDS:
        command = cli.cli.get_command(click.Context(cli.cli), name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", inner) for sub, inner in command.commands.items()]
    return found


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_command(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke([flag]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^  {name} ", out, re.MULTILINE) for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(cli.cli, [name, "-h"])
    assert result.exit_code == 0, result.output
    assert "Usage: " in result.output


def test_every_command_says_what_it_does() -> None:
    assert [name for name, command in commands() if not command.help] == []


def test_every_option_says_what_it_does() -> None:
    plain = {"output", "help"}
    missing = [
        f"{name} {option.opts[0]}"
        for name, command in commands()
        for option in command.params
        if isinstance(option, click.Option)
        and not option.help
        and option.name not in plain
        and not isinstance(option.type, click.Choice)
    ]
    assert missing == []


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "-h"], ["run", "-h"], ["status", "-h"], ["env", "-h"]])
def test_the_help_loads_no_heavy_module(arguments: list[str]) -> None:
    code = (
        f"import sys; from blackstart.cli import invoke; invoke({arguments});"
        "heavy = {'pydantic', 'kubernetes', 'chaoslib', 'yaml', 'importlib.metadata'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stderr == "[]\n"
    # 0.07 s here; the margin is for a busy machine.
    assert time.monotonic() - began < 3


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(["--version"]) == 0
    assert capsys.readouterr().out == f"blackstart {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["lnt"], ["lint", "--nope"], ["schema", "x"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke(arguments) == 2
    assert "Usage: " in capsys.readouterr().err


class UnsafeError(BlackstartError):
    """An error with an exit code of its own."""

    exit_code = 14


FINDING = Finding(Place("x.yaml", 3), ("a",), "is wrong")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ContentError([FINDING]), 2, "Error: x.yaml:3: a: is wrong\n"),
        (ContentError([FINDING, FINDING]), 2, "x.yaml:3: a: is wrong\nx.yaml:3: a: is wrong\n"),
        (UnsafeError("region us is still cut; run blackstart recover"), 14, "Error: region us is still cut"),
        (click.ClickException("no"), 2, "Error: no\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_known_errors_have_no_traceback(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(error, monkeypatch) == code
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_a_crash_is_one_line_and_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert failing(ZeroDivisionError("by zero"), monkeypatch) == 1
    err = capsys.readouterr().err
    assert err.startswith("blackstart crashed: ZeroDivisionError: by zero; the traceback is in ")
    (file,) = tmp_path.iterdir()
    assert "Traceback" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(ZeroDivisionError("by zero"), monkeypatch, "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def failing(error: BaseException, monkeypatch: pytest.MonkeyPatch, *flags: str) -> int:
    """Run a command that raises."""

    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(cli.cli, "get_command", lambda ctx, name: command)
    return cli.invoke([*flags, "lint"])


def test_what_a_command_returns_is_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> int:
        return 12

    monkeypatch.setattr(cli.cli, "get_command", lambda ctx, name: command)
    assert cli.invoke(["lint"]) == 12


def test_a_reader_that_goes_away_is_no_crash() -> None:
    code = "from blackstart.cli import main; main(['schema', 'drill'])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        err = child.stderr.read()
        assert child.wait(30) == 141
    assert err == ""
