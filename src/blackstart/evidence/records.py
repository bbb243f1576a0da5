"""What a run writes down: one record a line of evidence.ndjson.

Times `t`, `due`, `t0` are seconds of this machine's monotonic clock, shared by
the supervisor and its child; `at` is UTC wall-clock time for people only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Reason(StrEnum):
    """Why a probe has no data."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    EMPTY = "empty"
    PARTIAL = "partial"
    STALE = "stale"
    MALFORMED = "malformed"
    UNAUTHORISED = "unauthorised"


class Phase(StrEnum):
    """The phases of a run, in order."""

    PREFLIGHT = "preflight"
    BASELINE = "baseline"
    INJECT = "inject"
    HOLD = "hold"
    UNDO = "undo"
    FAILBACK = "failback"
    SETTLE = "settle"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stream(_Record):
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


class Header(_Record):
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


class PhaseStart(_Record):
    """A phase begins; the one before it ends."""

    type: Literal["phase"] = "phase"
    phase: Phase


class Samples(_Record):
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


class Reading(_Record):
    """One look of a probe: a value, or no data with its reason.

    `key` tells several series of one probe apart (a region, usually).
    `age` is the age of the newest sample behind the value, seconds.
    """

    type: Literal["reading"] = "reading"
    probe: str
    key: str = ""
    value: float | None = None
    no_data: Reason | None = None
    detail: str = ""
    age: float | None = None


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


class Interval(_Record):
    """A moment known to lie between two others, seconds of the monotonic clock."""

    earliest: float
    latest: float


class FaultEvent(_Record):
    """A fault changed its state. `t0` comes with `confirmed`: when it took effect, by its control probe."""

    type: Literal["fault"] = "fault"
    fault: str = Field(description="id, unique within the run")
    kind: str
    target: str
    state: FaultState
    t0: Interval | None = None
    detail: str = ""


class Activity(_Record):
    """How one activity of the experiment ended. `section`: steady-state, method, rollbacks."""

    type: Literal["activity"] = "activity"
    section: str
    name: str
    status: Literal["succeeded", "failed", "skipped"]
    injects: bool = False
    detail: str = ""


class StepState(StrEnum):
    """A step of a procedure: `not_executed`, nobody did it."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    NOT_EXECUTED = "not_executed"


class StepEvent(_Record):
    """A step of the procedure, or of the one that leads home (`failback`), changed its state.

    `by`: who does it; `flag`: a person's part, answered beforehand.
    """

    type: Literal["step"] = "step"
    part: Literal["procedure", "failback"]
    step: str = Field(description="its name, unique within its part")
    kind: str
    by: Literal["machine", "person", "flag"]
    state: StepState
    detail: str = ""


class GuardTrip(_Record):
    """A guard ended the drill."""

    type: Literal["guard"] = "guard"
    guard: str
    blind: bool
    detail: str


class Check(_Record):
    """A fact established once: `name` such as `preflight/identity/us` or `completeness/user-service/us`.

    `ok` None: it could not be established.
    """

    type: Literal["check"] = "check"
    name: str
    ok: bool | None
    detail: str = ""


class Note(_Record):
    """Something a reader should know: a signal, a child that died."""

    type: Literal["note"] = "note"
    level: Literal["info", "warning", "error"]
    text: str


class Writes(_Record):
    """What the ledger's writers did since the record before, about a second.

    sent: writes that were sent; ok, failed, indeterminate: outcomes that came.
    `lines`, `digest`: how many lines ledger.ndjson had on the disk by then,
    and the SHA-256 (hex) of all of them.
    """

    type: Literal["writes"] = "writes"
    service: str
    state: Literal["running", "paused", "stopped"]
    sent: int
    ok: int
    failed: int
    indeterminate: int
    lines: int
    digest: str


class LostWrite(_Record):
    """An acknowledged write that is missing: when it was acknowledged (monotonic seconds), and who said so."""

    id: str
    acknowledged: float
    by: str = ""


class Span(_Record):
    """So many acknowledged writes are missing, acknowledged from `first` to `last` (monotonic seconds)."""

    count: int
    first: float | None = None
    last: float | None = None


class StoreRead(_Record):
    """All ids of this run in one record of one member of a store, read in full, beside what the ledger says of them.

    moment: `failover`, at the end of the hold, or `failback`, in the settle
    phase. `server` answered; `writable`: whether it takes writes. With
    `no_data` nothing is known but `detail`. `ids`, `digest`: how many
    different ones, and the SHA-256 (hex) of all in their order. `newest`: when
    the newest acknowledged write that is there was acknowledged. `lost`: all
    that are missing; `new`: of those, what was not lost at the moment before.
    `examples`: the oldest of the lost; `odd`: some of the duplicated, phantom
    and reordered ones. What each word means: blackstart.ledger.checker.
    """

    type: Literal["store_read"] = "store_read"
    moment: Literal["failover", "failback"]
    store: str
    record: str
    member: str
    server: str = ""
    writable: bool | None = None
    no_data: Reason | None = None
    detail: str = ""
    ids: int = 0
    digest: str = ""
    newest: float | None = None
    acknowledged: int = 0
    failed: int = 0
    indeterminate: int = 0
    lost: Span = Span(count=0)
    new: Span = Span(count=0)
    recovered: int = 0
    duplicated: int = 0
    phantom: int = 0
    reordered: int = 0
    gaps: int = 0
    examples: list[LostWrite] = []
    odd: list[str] = []


class Outstanding(_Record):
    """What was still not put back when the run ended; empty is good."""

    type: Literal["outstanding"] = "outstanding"
    faults: list[str]


class End(_Record):
    """The last record of a run that ended by itself. `refused`: nothing was injected."""

    type: Literal["end"] = "end"
    how: Literal["complete", "aborted", "interrupted", "refused", "blocked"]
    detail: str = ""


Body = Annotated[
    Header
    | PhaseStart
    | Samples
    | Reading
    | FaultEvent
    | Activity
    | StepEvent
    | GuardTrip
    | Check
    | Note
    | Writes
    | StoreRead
    | Outstanding
    | End,
    Field(discriminator="type"),
]
BODY: TypeAdapter[Body] = TypeAdapter(Body)


class Line(_Record):
    """One line of evidence: `n` from 0, `prev` the SHA-256 (hex) of the line before, as bytes without newline."""

    n: int
    prev: str
    t: float
    at: str
    body: Body
