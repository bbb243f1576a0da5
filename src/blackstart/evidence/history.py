"""What happened in a run: evidence lines folded into phases, samples, faults. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from blackstart.evidence.records import (
    MADE,
    Activity,
    Addresses,
    Check,
    Crossing,
    End,
    FaultEvent,
    FaultState,
    Foretold,
    GuardTrip,
    Header,
    Interval,
    Line,
    Note,
    Outstanding,
    Phase,
    PhaseStart,
    Reading,
    Samples,
    Stream,
)
from blackstart.evidence.restores import Restored
from blackstart.evidence.steps import StepEvent
from blackstart.evidence.written import Convergence, StoreRead, Writes
from blackstart.schema.forecast import Forecast


class Window(NamedTuple):
    """From `start` (inclusive) to `end`, seconds of the monotonic clock."""

    start: float
    end: float

    @property
    def length(self) -> float:
        """Seconds."""
        return self.end - self.start

    def holds(self, t: float) -> bool:
        """Whether `t` lies inside."""
        return self.start <= t < self.end


class Sample(NamedTuple):
    """One request: see Samples for the columns."""

    due: float
    latency: float
    ok: bool
    region: str | None
    error: str | None

    @property
    def answered(self) -> float:
        """When the answer came or was given up, seconds of the monotonic clock."""
        return self.due + self.latency


class Moment[T](NamedTuple):
    """A record with its time on both clocks."""

    t: float
    at: str
    body: T


@dataclass(frozen=True)
class Track:
    """One stream with its samples in the order in which they were due."""

    stream: Stream
    samples: tuple[Sample, ...]

    def within(self, window: Window) -> list[Sample]:
        """The samples due in a window."""
        return [sample for sample in self.samples if window.holds(sample.due)]


@dataclass(frozen=True)
class FaultLife:
    """All events of one fault, in order."""

    fault: str
    kind: str
    target: str
    events: tuple[Moment[FaultEvent], ...]

    @property
    def broke(self) -> bool:
        """Whether something was broken by it, not only made."""
        return self.kind not in MADE

    def reached(self, state: FaultState) -> Moment[FaultEvent] | None:
        """The last time at which the fault came into a state."""
        return next((e for e in reversed(self.events) if e.body.state == state), None)

    @property
    def t0(self) -> Interval | None:
        """When it took effect, by its control probe; None without a confirmed, sound interval."""
        event = self.reached(FaultState.CONFIRMED)
        t0 = event.body.t0 if event else None
        return t0 if t0 and t0.earliest <= t0.latest else None


@dataclass(frozen=True)
class History:
    """A whole run, or what there is of it. `end` None: the evidence was cut, as by a crash."""

    header: Header
    first: Moment[Header]
    last: tuple[float, str]
    phases: dict[Phase, Window]
    tracks: dict[str, Track]
    faults: tuple[FaultLife, ...]
    activities: tuple[Moment[Activity], ...]
    steps: tuple[Moment[StepEvent], ...]
    checks: tuple[Moment[Check], ...]
    readings: tuple[Moment[Reading], ...]
    guards: tuple[Moment[GuardTrip], ...]
    notes: tuple[Moment[Note], ...]
    writes: tuple[Moment[Writes], ...]
    reads: tuple[Moment[StoreRead], ...]
    outstanding: Outstanding | None
    end: Moment[End] | None
    forecasts: dict[str, Forecast] = field(default_factory=dict)
    addresses: Addresses | None = None
    crossings: tuple[Moment[Crossing], ...] = ()
    convergence: tuple[Moment[Convergence], ...] = ()
    restores: tuple[Restored, ...] = ()

    @property
    def broken(self) -> tuple[FaultLife, ...]:
        """The faults that broke something."""
        return tuple(fault for fault in self.faults if fault.broke)

    @property
    def window(self) -> Window:
        """The whole run."""
        return Window(self.first.t, self.last[0])

    @property
    def injected(self) -> bool:
        """Whether anything was, or may have been, broken."""
        return bool(self.faults or Phase.INJECT in self.phases or any(a.body.injects for a in self.activities))

    def named(self, role: str) -> str:
        """The name of the service that plays `role`, or the name itself."""
        return self.header.services.get(role, role)

    def entries(self, service: str) -> list[Track]:
        """The streams of a service's real entry."""
        return [t for t in self.tracks.values() if t.stream.service == service and t.stream.kind == "entry"]


@dataclass
class _Fold:
    samples: dict[str, list[Sample]]
    phases: list[tuple[Phase, float]] = field(default_factory=list)
    faults: dict[str, list[Moment[FaultEvent]]] = field(default_factory=dict)
    activities: list[Moment[Activity]] = field(default_factory=list)
    steps: list[Moment[StepEvent]] = field(default_factory=list)
    checks: list[Moment[Check]] = field(default_factory=list)
    readings: list[Moment[Reading]] = field(default_factory=list)
    guards: list[Moment[GuardTrip]] = field(default_factory=list)
    notes: list[Moment[Note]] = field(default_factory=list)
    writes: list[Moment[Writes]] = field(default_factory=list)
    reads: list[Moment[StoreRead]] = field(default_factory=list)
    outstanding: Outstanding | None = None
    end: Moment[End] | None = None
    forecasts: dict[str, Forecast] = field(default_factory=dict)
    addresses: Addresses | None = None
    crossings: list[Moment[Crossing]] = field(default_factory=list)
    convergence: list[Moment[Convergence]] = field(default_factory=list)
    restores: list[Restored] = field(default_factory=list)

    def take(self, line: Line) -> None:
        match line.body:
            case Samples() as samples:
                self._take_samples(line.n, samples)
            case PhaseStart(phase=phase):
                self.phases.append((phase, line.t))
            case Foretold() as foretold:
                self.forecasts = foretold.services
            case FaultEvent() as event:
                self.faults.setdefault(event.fault, []).append(Moment(line.t, line.at, event))
            case Activity() as activity:
                self.activities.append(Moment(line.t, line.at, activity))
            case StepEvent() as step:
                self.steps.append(Moment(line.t, line.at, step))
            case Restored() as restored:
                self.restores.append(restored)
            case Check() as check:
                self.checks.append(Moment(line.t, line.at, check))
            case Reading() as reading:
                self.readings.append(Moment(line.t, line.at, reading))
            case GuardTrip() as trip:
                self.guards.append(Moment(line.t, line.at, trip))
            case Note() as note:
                self.notes.append(Moment(line.t, line.at, note))
            case Addresses() as addresses:
                self.addresses = addresses
            case Crossing() as crossing:
                self.crossings.append(Moment(line.t, line.at, crossing))
            case Writes() as writes:
                self.writes.append(Moment(line.t, line.at, writes))
            case StoreRead() as read:
                self.reads.append(Moment(line.t, line.at, read))
            case Convergence() as converged:
                self.convergence.append(Moment(line.t, line.at, converged))
            case Outstanding() as outstanding:
                self.outstanding = outstanding
            case End() as end:
                self.end = Moment(line.t, line.at, end)
            case Header():
                raise ValueError(f"evidence line {line.n + 1}: a second header")

    def _take_samples(self, n: int, batch: Samples) -> None:
        if batch.stream not in self.samples:
            raise ValueError(f"evidence line {n + 1}: stream {batch.stream!r} is not in the header")
        try:
            rows = list(zip(batch.due, batch.latency, batch.ok, batch.region, batch.error, strict=True))
        except ValueError as error:
            raise ValueError(f"evidence line {n + 1}: the columns of {batch.stream!r} differ in length") from error
        self.samples[batch.stream].extend(Sample(*row) for row in rows)


def fold(lines: Iterable[Line]) -> History:
    """The history that the lines tell. Raises ValueError, with the line, when they are no evidence of a run."""
    iterator = iter(lines)
    head = next(iterator, None)
    if head is None or not isinstance(head.body, Header):
        raise ValueError("evidence line 1: the header is missing; this is no evidence of a run")
    header = head.body
    state = _Fold({stream.name: [] for stream in header.streams})
    last = (head.t, head.at)
    for line in iterator:
        state.take(line)
        if line.t >= last[0]:
            last = (line.t, line.at)
    return History(
        header=header,
        first=Moment(head.t, head.at, header),
        last=last,
        phases=_windows(state.phases, last[0]),
        tracks={s.name: Track(s, tuple(sorted(state.samples[s.name], key=_order))) for s in header.streams},
        faults=tuple(FaultLife(f, e[0].body.kind, e[0].body.target, tuple(e)) for f, e in state.faults.items()),
        activities=tuple(state.activities),
        steps=tuple(state.steps),
        checks=tuple(state.checks),
        readings=tuple(state.readings),
        guards=tuple(state.guards),
        notes=tuple(state.notes),
        writes=tuple(state.writes),
        reads=tuple(state.reads),
        outstanding=state.outstanding,
        end=state.end,
        forecasts=state.forecasts,
        addresses=state.addresses,
        crossings=tuple(state.crossings),
        convergence=tuple(state.convergence),
        restores=tuple(state.restores),
    )


def _order(sample: Sample) -> float:
    return sample.due


def _windows(starts: list[tuple[Phase, float]], end: float) -> dict[Phase, Window]:
    ends = [*(t for _, t in starts), end][1:]
    return {phase: Window(t, stop) for (phase, t), stop in zip(starts, ends, strict=True)}
