"""What a run writes down: one record a line of evidence.ndjson.

Times `t`, `due`, `t0` are seconds of this machine's monotonic clock, shared by
the supervisor and its child; `at` is UTC wall-clock time for people only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from blackstart.evidence.record import Reason as Reason
from blackstart.evidence.record import Record
from blackstart.evidence.restores import Restored
from blackstart.evidence.steps import StepEvent
from blackstart.evidence.written import Convergence, StoreRead, Writes
from blackstart.schema.forecast import Forecast


class Phase(StrEnum):
    """The phases of a run, in order."""

    PREFLIGHT = "preflight"
    BASELINE = "baseline"
    INJECT = "inject"
    HOLD = "hold"
    UNDO = "undo"
    FAILBACK = "failback"
    SETTLE = "settle"


class Stream(Record):
    """A series of client samples: who asks what, how often (seconds).

    `kind` entry: the service's real entry; direct: one region's own entry.
    """

    name: str
    service: str
    kind: Literal["entry", "direct"]
    region: str | None
    connection: Literal["fresh", "kept"]
    interval: float
    timeout: float


class Header(Record):
    """The first record: everything needed to repeat and to judge the run. No secrets."""

    type: Literal["header"] = "header"
    format: Literal[1] = 1
    run_id: str
    drill: dict[str, Any]
    fleet: dict[str, Any]
    experiment: dict[str, Any]
    probes: list[dict[str, Any]]
    streams: list[Stream]
    services: dict[str, str] = Field(description="service role -> service name")
    victims: list[str] = Field(description="region names")
    survivors: list[str] = Field(description="region names")
    versions: dict[str, str]
    digests: dict[str, str]
    command: list[str]
    initiator: str
    monotonic: float
    wall: str


class Foretold(Record):
    """What is expected of each service, by name; written before anything is broken."""

    type: Literal["forecast"] = "forecast"
    services: dict[str, Forecast]


class PhaseStart(Record):
    """A phase begins; the one before it ends."""

    type: Literal["phase"] = "phase"
    phase: Phase


class Samples(Record):
    """At most one second of one stream, as columns of equal length.

    due: when the sample was due; latency: seconds from then to the answer or
    to giving up; ok: a complete, valid answer; region: who answered, None
    unless ok; error: a Reason or an HTTP status such as `503`, None if ok.
    """

    type: Literal["samples"] = "samples"
    stream: str
    due: list[float]
    latency: list[float]
    ok: list[bool]
    region: list[str | None]
    error: list[str | None]


class Reading(Record):
    """One look of a probe: a value, or no data with its reason.

    `key` tells several series of one probe apart (a region, usually).
    `age` is the age of the newest sample behind the value, seconds. `plain`
    is what somebody would have read who believes any answer, also where there
    is no data: of PromQL the first value of an HTTP 200.
    """

    type: Literal["reading"] = "reading"
    probe: str
    key: str = ""
    value: float | None = None
    no_data: Reason | None = None
    detail: str = ""
    age: float | None = None
    plain: float | None = None


class FaultState(StrEnum):
    """A fault's life, in order. `ineffective`, `failed` and `conflict` end it in the other way."""

    ARMED = "armed"
    APPLIED = "applied"
    CONFIRMED = "confirmed"
    INEFFECTIVE = "ineffective"
    FAILED = "failed"
    REVERTED = "reverted"
    CONFIRMED_REVERTED = "confirmed_reverted"
    CONFLICT = "conflict"


MADE = frozenset({"restored", "sandbox"})
"""Kinds whose record is of something that was made, not broken: it is taken away as a fault is put back."""


class Interval(Record):
    """A moment known to lie between two others, seconds of the monotonic clock."""

    earliest: float
    latest: float


class FaultEvent(Record):
    """A fault changed its state. `t0` comes with `confirmed`: when it took effect, by its control probe."""

    type: Literal["fault"] = "fault"
    fault: str = Field(description="id, unique within the run")
    kind: str
    target: str
    state: FaultState
    t0: Interval | None = None
    detail: str = ""


class Activity(Record):
    """How one activity of the experiment ended. `section`: steady-state, method, rollbacks."""

    type: Literal["activity"] = "activity"
    section: str
    name: str
    status: Literal["succeeded", "failed", "skipped"]
    injects: bool = False
    detail: str = ""


class GuardTrip(Record):
    """A guard ended the drill."""

    type: Literal["guard"] = "guard"
    guard: str
    blind: bool
    detail: str


class Check(Record):
    """A fact established once: `name` such as `preflight/identity/us` or `completeness/user-service/us`.

    `ok` None: it could not be established.
    """

    type: Literal["check"] = "check"
    name: str
    ok: bool | None
    detail: str = ""


class Note(Record):
    """Something a reader should know: a signal, a child that died."""

    type: Literal["note"] = "note"
    level: Literal["info", "warning", "error"]
    text: str


class Known(Record):
    """Who an address was of before the fault.

    `address`: an IPv4 address, one with a port, or `:port` for that port of
    any node of the region. `kind`: a workload; what a region
    offers at a port; a node of a region; a place outside of all regions; one
    that this drill's own clients ask from.
    """

    address: str
    name: str
    kind: Literal["workload", "offer", "node", "place", "client"]
    region: str | None = None


class Addresses(Record):
    """Whose addresses there were before the fault. `missing`: what could not be asked, and why."""

    type: Literal["addresses"] = "addresses"
    known: list[Known]
    missing: list[str] = []


class Tried(Record):
    """Connections that `source` (an address) began to open to `destination` (host:port) and did not get.

    `idle`: seconds since the last of them, None where that is not counted.
    """

    source: str
    destination: str
    attempts: int
    idle: float | None = None


class Crossing(Record):
    """Who tries to get through a fault, counted since it was made: each record replaces the one before it.

    by: nft, where `fault` drops, at `place`; envoy, the gateway of the region
    `place`, whatever the fault (`fault` empty). own: what of it the fault's own
    control probe tried, told once, right after the proof. user: the only user whose connections are dropped.
    left_out: rows that are too many to be written. unread: why there are no
    counters; what was read before stands.
    """

    type: Literal["crossing"] = "crossing"
    by: Literal["nft", "envoy"]
    place: str
    fault: str = ""
    tried: list[Tried] = []
    own: list[Tried] | None = None
    user: int | None = None
    left_out: int = 0
    unread: str = ""


class Outstanding(Record):
    """What was still not put back when the run ended; empty is good."""

    type: Literal["outstanding"] = "outstanding"
    faults: list[str]


class End(Record):
    """The last record of a run that ended by itself. `refused`: nothing was injected."""

    type: Literal["end"] = "end"
    how: Literal["complete", "aborted", "interrupted", "refused", "blocked"]
    detail: str = ""


Body = Annotated[
    Header
    | Foretold
    | PhaseStart
    | Samples
    | Reading
    | FaultEvent
    | Activity
    | StepEvent
    | Restored
    | GuardTrip
    | Check
    | Note
    | Addresses
    | Crossing
    | Writes
    | StoreRead
    | Convergence
    | Outstanding
    | End,
    Field(discriminator="type"),
]
BODY: TypeAdapter[Body] = TypeAdapter(Body)


class Line(Record):
    """One line of evidence: `n` from 0, `prev` the SHA-256 (hex) of the line before, as bytes without newline."""

    n: int
    prev: str
    t: float
    at: str
    body: Body
