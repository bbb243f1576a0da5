"""result.json, version 1: what a run came to. Computed from evidence only."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from blackstart.schema.base import Model


class Verdict(StrEnum):
    """What a drill came to; see docs/verdicts.md."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    ABORTED = "ABORTED"
    UNSAFE = "UNSAFE"
    BLOCKED = "BLOCKED"


EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.FAIL: 10,
    Verdict.INCONCLUSIVE: 12,
    Verdict.INVALID: 12,
    Verdict.ABORTED: 13,
    Verdict.UNSAFE: 14,
    Verdict.BLOCKED: 15,
}


class Span(Model):
    """An interval of seconds on the run's monotonic clock."""

    earliest: float
    latest: float


class Score(Model):
    """0 to 100; `low` and `high` differ by what is unknown, the grade stands on `low`."""

    low: float
    high: float
    grade: Literal["A", "B", "C", "D", "E", "F", "none"]
    breakdown: dict[str, dict[str, float | None]] = {}
    flips: bool = False


class ObjectiveResult(Model):
    """One objective. `met` None: the evidence does not say. Units: seconds, or ratio 0 to 1, per kind."""

    service: str
    kind: str
    objective: str
    measured: float | None
    resolution: float | None
    met: bool | None
    detail: str = ""


class Clock(Model):
    """The times of one service, seconds after the latest moment at which T0 can lie; None: did not happen."""

    t0: Span | None
    detected_s: float | None
    moved_s: float | None
    recovered_s: float | None
    resolution_s: float | None
    failback_s: float | None
    held_s: float | None = None


class FaultResult(Model):
    """One fault's life."""

    kind: str
    target: str
    applied: bool
    confirmed: bool
    reverted: bool
    confirmed_reverted: bool
    detail: str = ""


class Undo(Model):
    """Ids of faults not put back."""

    outstanding: list[str]


class Result(Model):
    """The whole result."""

    schema_version: Literal[1] = 1
    run_id: str
    drill: str
    fleet: str
    verdict: Verdict
    sentence: str
    reasons: list[str]
    exit_code: int
    score: Score | None
    objectives: list[ObjectiveResult]
    clock: dict[str, Clock]
    faults: list[FaultResult]
    undo: Undo
    versions: dict[str, str]
    digests: dict[str, str]
    started: str
    ended: str | None
