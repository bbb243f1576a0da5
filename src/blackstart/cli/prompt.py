"""Asks the operator to do a manual step, and waits for the answer."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable

import click

_LOOK = 0.2
_DONE, _NOT = {"done", "yes", "y"}, {"no", "n"}


def ask_on_terminal(name: str, text: str, seconds: float, stopped: Callable[[], bool]) -> None:
    """Return once `done` was typed. Raises NotExecuted without a terminal or an answer, StepError after `no`."""
    from blackstart.procedures.base import NotExecuted, StepError, nobody

    if not sys.stdin.isatty():
        nobody(name, text, seconds, stopped)
    click.echo(f"\n{name}: {text}\ntype `done` or `no`, then Enter (within {seconds:.0f} s)", err=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopped():
        if select.select([sys.stdin], [], [], _LOOK)[0]:
            line = sys.stdin.readline()
            if not line:
                break
            if line.strip().lower() in _DONE:
                return
            if line.strip().lower() in _NOT:
                raise StepError("the operator says that it could not be done")
            click.echo("type `done` or `no`", err=True)
    raise NotExecuted("the run ended early" if stopped() else f"nobody confirmed it within {seconds:.0f} s")
