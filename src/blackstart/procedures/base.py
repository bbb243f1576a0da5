"""What every kind of step has in common.

A kind of step is one module `blackstart.procedures.<kind>` with a `STEP` that
implements `Kind`. Being killed at any point leaves a state from which the
same step, run again, goes on.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from blackstart.evidence.promotions import Promotions
from blackstart.evidence.records import Body
from blackstart.evidence.undo import Store
from blackstart.faults.base import Fencing, unfenced
from blackstart.fleet.model import Fleet
from blackstart.procedures.bucket import S3, Buckets
from blackstart.schema.errors import BlackstartError
from blackstart.schema.procedure import KINDS, Step

By = Literal["machine", "person", "flag"]

_PAUSE = 0.05


class StepError(BlackstartError):
    """The step could not be done; says place, cause and next step."""


class Diverged(StepError):  # noqa: N818 - a state of the world, not a mistake
    """The server has what the primary has not: it cannot just follow."""


class NotExecuted(StepError):  # noqa: N818 - a state of the world, not a mistake
    """Nobody did the step: it was neither done nor tried."""


class Late(StepError):  # noqa: N818 - a state of the world, not a mistake
    """The step's deadline came first."""


class Deadline:
    """When a step must have ended."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds; never negative."""
        return max(0.0, self._end - time.monotonic())

    def check(self, what: str) -> float:
        """Seconds left. Raises Late with what was waited for."""
        if self.left <= 0:
            raise Late(f"{what}: not within {self.seconds:g} s; run the step again, it goes on from here")
        return self.left

    def until[T](self, what: Callable[[], str], look: Callable[[], T | None]) -> T:
        """Look again and again until there is an answer other than None. Raises Late with `what` there is to say."""
        while (found := look()) is None:
            self.check(what())
            time.sleep(_PAUSE)
        return found


Ask = Callable[[str, str, float, Callable[[], bool]], None]
"""Have a person do a step: name, text, seconds, whether to give up. Raises NotExecuted, StepError."""


def nobody(name: str, text: str, seconds: float, stopped: Callable[[], bool]) -> None:
    """There is nobody to ask."""
    raise NotExecuted(f"nobody confirmed {name!r}; run on a terminal, or answer beforehand by `--confirm {name!r}`")


@dataclass(frozen=True)
class Work:
    """Where steps are done: the fleet, the run and its folder, and what is known of stores that are away from home.

    `stopped`: the run ends early; only steps that may be left half done look
    at it. `confirmed`: names of manual steps that were answered beforehand.
    `undo`, `fence`: for steps that make something that has to be taken away;
    `buckets`: asks those of the fleet; `tell`: takes records for the evidence, from any thread. What was there
    before the fault: `images`, image -> digest, by region and namespace; `rows`, by region and DATABASE.TABLE.
    """

    fleet: Fleet
    run: str
    folder: Path
    promotions: Promotions
    ask: Ask = nobody
    confirmed: frozenset[str] = frozenset()
    stopped: Callable[[], bool] = field(default=lambda: False)
    undo: Store = field(default_factory=Store)
    fence: Fencing = unfenced
    tell: Callable[[Body], None] = field(default=lambda body: None)
    buckets: Buckets = field(default_factory=S3)
    images: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    rows: dict[tuple[str, str], int] = field(default_factory=dict)


class Kind(Protocol):
    """One kind of step."""

    kind: str
    by: By

    def run(self, work: Work, step: Step, deadline: Deadline) -> str:
        """Do it; what was done, for people. Raises BlackstartError."""

    def needs(self, fleet: Fleet, step: Step) -> list[str]:
        """What it takes, for people: grants, programs."""


def kind_of(name: str) -> Kind:
    """The kind of step called `name`, one of `blackstart.schema.procedure.KINDS`. Raises StepError."""
    if name not in KINDS:
        raise StepError(f"unknown kind of step {name!r}; known: {', '.join(KINDS)}")
    kind: Kind = importlib.import_module(f"blackstart.procedures.{name}").STEP
    return kind


def run_step(work: Work, step: Step) -> str:
    """Do a step within its deadline; what was done. Raises BlackstartError."""
    return kind_of(step.kind).run(work, step, Deadline(step.longest))


def by_whom(step: Step, confirmed: frozenset[str]) -> By:
    """Who does a step."""
    return "flag" if step.manual is not None and step.name in confirmed else kind_of(step.kind).by
