"""result.json, version 1: what a run came to. Computed from evidence only."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from blackstart.schema.base import Model
from blackstart.schema.forecast import Foreseen
from blackstart.schema.result_restores import RestoreResult
from blackstart.schema.result_views import ViewResult
from blackstart.schema.result_writes import StoreWrites


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


Grade = Literal["A", "B", "C", "D", "E", "F"]


class Dimension(Model):
    """One part of a service's score: utility 0 to 1 as an interval, and its weight in the rubric."""

    low: float
    high: float
    weight: float


class Score(Model):
    """0 to 100; `low` and `high` differ by what is unknown, the grade stands on `low`.

    `breakdown`: service -> dimension -> its part. `not_rehearsed`: dimensions
    that no objective of the drill asks for; they count neither way. `caps`:
    what held the score down. `flips`: 20 % more or less of one weight would
    change the grade.
    """

    rubric: str = "1"
    low: float
    high: float
    grade: Grade
    breakdown: dict[str, dict[str, Dimension]] = {}
    not_rehearsed: list[str] = []
    caps: list[str] = []
    flips: bool = False


class ObjectiveResult(Model):
    """One objective. `met` None: the evidence does not say.

    The true value lies between `low` and `high` (None: no bound is known);
    `measured` is the one figure to quote, `resolution` the width of the
    interval. `bound` is what must be kept. Units: seconds, or ratio 0 to 1,
    per kind; a reading has the unit of its probe.
    """

    service: str
    kind: str
    objective: str
    measured: float | None
    resolution: float | None
    met: bool | None
    detail: str = ""
    bound: float | None = None
    low: float | None = None
    high: float | None = None


class Split(Model):
    """Whose the time from T0 to the recovery was, seconds; together they are `recovered_s`.

    `detect_s`: until the first step of the procedure; `decide_s`: in steps of
    people; `promote_s`: in the others; `propagate_s`: from the last one's end
    until clients were served for good, None if they were not.
    """

    detect_s: float
    decide_s: float
    promote_s: float
    propagate_s: float | None


class Clock(Model):
    """The times of one service, seconds after the earliest moment at which T0 can lie; None: did not happen.

    `failback_s` counts from the end of the undo. `resolution_s` is the width
    of T0 plus the client's interval. `held_s`: how long clients were watched
    after T0 while the fault was in place.
    """

    t0: Span | None
    detected_s: float | None
    moved_s: float | None
    recovered_s: float | None
    resolution_s: float | None
    failback_s: float | None
    held_s: float | None = None
    split: Split | None = None


class Tally(Model):
    """Requests of a service's entry in one phase, fresh and kept connections together.

    `missing`: due, but absent from the evidence.
    """

    good: int
    total: int
    missing: int = 0


class FaultResult(Model):
    """One fault's life."""

    fault: str = ""
    kind: str
    target: str
    applied: bool
    confirmed: bool
    reverted: bool
    confirmed_reverted: bool
    detail: str = ""


class StepResult(Model):
    """One step of the procedure, or of the one that leads home; `started_s` counts from T0."""

    part: Literal["procedure", "failback"]
    step: str
    kind: str
    by: Literal["machine", "person", "flag"]
    outcome: Literal["done", "failed", "not_executed", "unknown"]
    started_s: float | None
    duration_s: float | None
    detail: str = ""


class Undo(Model):
    """Ids of faults not put back."""

    outstanding: list[str]


class Dependency(Model):
    """Somebody who tried to get through a fault: connections that were begun and could not come about.

    Names are those of before the fault; without one, `source` and
    `destination` are the addresses and the region is None unless the address
    is of a region's pods. `counted_by` nft: at the cut; envoy: failures that
    the gateway of the source's region tells. `last_s`: the last attempt,
    seconds after T0. `fault` is empty where a gateway tells.
    """

    fault: str
    source: str
    source_kind: Literal["workload", "gateway", "node", "place", "unknown"]
    source_region: str | None
    source_address: str
    destination: str
    destination_region: str | None
    destination_address: str
    attempts: int
    counted_by: Literal["nft", "envoy"]
    last_s: float | None
    detail: str = ""


class Dependencies(Model):
    """Who still tried to get through what was broken, the most eager first. Findings: no verdict depends on them.

    `counted`: where; `not_counted`: where not, and why; nobody is known to
    have tried only where it was counted. `unnamed`: why addresses may have no
    name. `own`: attempts of this drill's own clients and control probes, which
    are not listed.
    """

    counted: list[str] = []
    not_counted: list[str] = []
    found: list[Dependency] = []
    unnamed: list[str] = []
    own: int = 0


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
    tallies: dict[str, dict[str, Tally]] = {}
    forecasts: dict[str, Foreseen] = {}
    writes: list[StoreWrites] = []
    views: list[ViewResult] = []
    faults: list[FaultResult]
    dependencies: Dependencies | None = None
    steps: list[StepResult] = []
    restores: list[RestoreResult] = []
    undo: Undo
    versions: dict[str, str]
    digests: dict[str, str]
    started: str
    ended: str | None
