"""A manual step asks at the terminal: only `done` is done."""

from __future__ import annotations

import os
import pty
from collections.abc import Callable, Iterator

import pytest
from runkit import a_plan

from blackstart.cli import invoke
from blackstart.cli.prompt import ask_on_terminal
from blackstart.plan import resolve
from blackstart.procedures.base import NotExecuted, StepError


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Types what it is given on the terminal that is standard input."""
    near, far = pty.openpty()
    with open(far) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        yield lambda text: (os.write(near, text.encode()), None)[1]
    os.close(near)


def ask(seconds: float = 20.0, stopped: bool = False) -> None:
    ask_on_terminal("flip", "flip the DNS", seconds, lambda: stopped)


def test_done_is_done(operator: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    operator("\nmaybe\nDone\n")
    ask()
    assert "flip: flip the DNS\ntype `done` or `no`" in capsys.readouterr().err


def test_no_is_a_failure(operator: Callable[[str], None]) -> None:
    operator("no\n")
    with pytest.raises(StepError, match="the operator says"):
        ask()


def test_silence_and_the_end_of_the_run_are_not_executed(operator: Callable[[str], None]) -> None:
    with pytest.raises(NotExecuted, match="nobody confirmed it within"):
        ask(0.3)
    with pytest.raises(NotExecuted, match="the run ended early"):
        ask(stopped=True)


def test_without_a_terminal_there_is_nobody() -> None:
    with pytest.raises(NotExecuted, match="answer beforehand by `--confirm 'flip'`"):
        ask()


def test_only_manual_steps_can_be_confirmed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [{"name": "flip", "manual": "flip the DNS"}, {"name": "sleep", "wait": 1.0}]
    monkeypatch.setattr(resolve, "make_plan", lambda drill, fleet, settings: a_plan(procedure=steps))
    assert invoke(["run", "region-loss", "--confirm", "flp"]) == 2
    assert 'unknown manual step "flp"; allowed: flip; did you mean "flip"?' in capsys.readouterr().err
