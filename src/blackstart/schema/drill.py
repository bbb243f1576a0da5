"""drills/*.yaml: an experiment on a fleet, with what must hold while it runs.

A drill names roles (`primary`, `standby`, `frontend`); fleet.yaml says who
plays them, so one drill runs on the lab, on staging and on production.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from blackstart.schema.base import NAME, Model, Ratio, Seconds
from blackstart.schema.procedure import Step

Name = Annotated[str, Field(pattern=NAME)]

_BOUND = re.compile(r"(>=|<=|==|>|<)\s*(-?\d+(?:\.\d+)?)")

_NO_BOUND = "is not a bound; write a comparison: '>= 3', '< 0.5'"


class Bound(Model):
    """A comparison that a value must meet; in files a text such as `>= 3`."""

    op: Literal[">=", "<=", "==", ">", "<"]
    value: float

    def holds(self, measured: float) -> bool:
        """Whether `measured` meets the bound. NaN never does."""
        match self.op:
            case ">=":
                return measured >= self.value
            case "<=":
                return measured <= self.value
            case "==":
                return measured == self.value
            case ">":
                return measured > self.value
            case "<":
                return measured < self.value

    def __str__(self) -> str:
        return f"{self.op} {self.value:g}"


def _parse_bound(value: object) -> object:
    if isinstance(value, str):
        match = _BOUND.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"{value!r} {_NO_BOUND}")
        return Bound(op=match[1], value=float(match[2]))
    if not isinstance(value, Bound | dict):
        raise ValueError(f"{value!r} {_NO_BOUND}")
    return value


BoundText = Annotated[
    Bound,
    BeforeValidator(_parse_bound),
    WithJsonSchema({"type": "string", "pattern": f"^{_BOUND.pattern}$", "examples": [">= 3"]}),
]


class Client(Model):
    """The open-loop client of every service: one request each `interval` on a fresh connection, one on a kept one.

    A request that is not answered within `timeout` is a failure; one slower
    than `slow` counts as bad too.
    """

    interval: Seconds = Field(default=0.05, ge=0.005)
    timeout: Seconds = Field(default=1.0, gt=0)
    slow: Seconds | None = None


class Steady(Model):
    """When a service counts as well: at least `success` of the requests good over every `window`."""

    success: Ratio = 0.99
    window: Seconds = Field(default=5.0, gt=0)


class Phases(Model):
    """How long each phase lasts. `inject`, `undo` and `failback` are deadlines; the others are lengths."""

    baseline: Seconds = Field(default=10.0, gt=0)
    inject: Seconds = Field(default=60.0, gt=0)
    hold: Seconds = Field(default=30.0, gt=0)
    undo: Seconds = Field(default=120.0, gt=0)
    failback: Seconds = Field(default=60.0, gt=0)
    settle: Seconds = Field(default=2.0, ge=0)


class Ledger(Model):
    """Numbered writes through the `writes` of a service, from the baseline to the settle phase.

    Each of the `writers` has one write in flight and rests for `interval`
    after its outcome; a write that is not answered within `timeout` is
    indeterminate, and never sent again. Every store of the service is read in
    full after the failover and after the fail-back.
    """

    service: str
    writers: int = Field(default=20, ge=1, le=500)
    interval: Seconds = Field(default=0.1, gt=0)
    timeout: Seconds = Field(default=2.0, gt=0)


class RtoObjective(Model):
    """From T0 to the start of lasting recovery, as clients see it."""

    kind: Literal["rto"]
    service: str
    objective: Seconds


class FailbackObjective(Model):
    """From the end of the undo until home serves again and the service is steady."""

    kind: Literal["failback"]
    service: str
    objective: Seconds


class AvailabilityObjective(Model):
    """The share of good client requests from T0 to the end of the fail-back."""

    kind: Literal["availability"]
    service: str
    objective: Ratio


class CompletenessObjective(Model):
    """The share of what was there before (ready pods per region, clean objects and links) that is there after."""

    kind: Literal["completeness"]
    service: str
    objective: Ratio = 1.0


class ReadingObjective(Model):
    """Every reading of a probe in a phase meets a bound; a reading without data leaves the objective unknown."""

    kind: Literal["reading"]
    service: str
    probe: Name
    bound: BoundText
    during: Literal["baseline", "hold", "failback"] = "hold"


class HonestObjective(Model):
    """For how long the probe of a view may claim what is not so, from the baseline to the end of the fail-back.

    `truth` is a probe that reads the same past the fault, with the same keys
    (regions); what a view says of all regions as one is compared with their
    sum. A claim is right if it was the truth at any time of the last `lag`;
    no data claims nothing, and a claim without a truth beside it is unknown.
    """

    kind: Literal["honest"]
    service: str
    probe: Name
    truth: Name
    lag: Seconds = Field(default=5.0, ge=0)
    objective: Seconds = 0.0


class _Kept(Model):
    """Of what is read back: every store of the ledger's service and every record of it, or only those named."""

    service: str
    store: str | None = None
    record: str | None = None


class RpoObjective(_Kept):
    """How old, at T0, the oldest acknowledged write that is missing may be; 0 when none is missing."""

    kind: Literal["rpo"]
    objective: Seconds


class LostWritesObjective(_Kept):
    """How many acknowledged writes may be missing, in each record."""

    kind: Literal["lost-writes"]
    objective: int = Field(default=0, ge=0)


class OrderObjective(_Kept):
    """No write twice and, where the record has an order, none after a later one of its writer."""

    kind: Literal["order"]


class ConvergenceObjective(_Kept):
    """From the undo until every member of a multi-active store has every write acknowledged before.

    In the end not one may be absent at a member, or be there with other content.
    """

    kind: Literal["convergence"]
    objective: Seconds


class RestoredObjective(Model):
    """The share of the objects of a backup that are proven to be back, by a step `restore`."""

    kind: Literal["restored"]
    service: str
    objective: Ratio = 1.0


class BackupRpoObjective(Model):
    """How old, at T0, the backup that was restored may be; it counts from the start of the backup."""

    kind: Literal["backup-rpo"]
    service: str
    objective: Seconds


class RestoreRtoObjective(Model):
    """From T0 until the restored service answers."""

    kind: Literal["restore-rto"]
    service: str
    objective: Seconds


WritesObjective = RpoObjective | LostWritesObjective | OrderObjective

Objective = Annotated[
    RtoObjective
    | FailbackObjective
    | AvailabilityObjective
    | CompletenessObjective
    | ReadingObjective
    | HonestObjective
    | RpoObjective
    | LostWritesObjective
    | OrderObjective
    | ConvergenceObjective
    | RestoredObjective
    | BackupRpoObjective
    | RestoreRtoObjective,
    Field(discriminator="kind"),
]


class Guard(Model):
    """A condition that ends the drill early: undo, settle, report, exit 13.

    `watch: survivors` looks at the direct entries of the regions that the
    drill does not touch; `watch: clients` at the services' entries; any other
    value names a probe, and `bound` is what its readings must meet.
    It trips when the success ratio stays below `success` (or a reading breaks
    the bound) for `sustained`, and when there is no data for `blind`.
    """

    watch: str
    success: Ratio = 0.5
    bound: BoundText | None = None
    sustained: Seconds = Field(default=5.0, gt=0)
    blind: Seconds = Field(default=5.0, gt=0)


class Drill(Model):
    """One drill."""

    drill: Name
    title: str
    description: str = ""
    experiment: Name
    services: list[str] = Field(min_length=1)
    victims: list[str] = Field(
        description="roles of the regions whose service the fault takes away; empty where all must go on serving"
    )
    client: Client = Client()
    ledger: Ledger | None = None
    steady: Steady = Steady()
    phases: Phases = Phases()
    lease: Seconds = Field(
        default=15.0,
        ge=3,
        description="after so long without a sign of life from the runner, what it broke is put back without it",
    )
    detect: Literal["outage", "fault"] = Field(
        default="outage",
        description="when the procedure begins: once clients see the outage, or as soon as the fault is confirmed",
    )
    procedure: list[Step] = []
    failback_procedure: list[Step] = []
    probes: list[Name] = []
    objectives: list[Objective] = Field(min_length=1)
    guards: list[Guard] = [Guard(watch="survivors")]
    destructive: bool = False
