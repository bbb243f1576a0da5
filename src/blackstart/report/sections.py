"""The tables of a report: evidence put in the shape that the templates print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from blackstart.evidence.history import FaultLife, History, Moment, Track
from blackstart.evidence.records import FaultState, Phase, Reading
from blackstart.report.bullet import bullet
from blackstart.report.format import DASH, DURATIONS, clock, measure, percent, plain, seconds, span
from blackstart.report.words import KINDS, advice
from blackstart.schema.result import ObjectiveResult, Result, Tally

READINGS_SHOWN = 40
MET = {True: ("good", "met"), False: ("bad", "missed"), None: ("unsure", "unknown")}


@dataclass(frozen=True)
class ObjectiveRow:
    """An objective, its figures in words, its bar."""

    service: str
    name: str
    objective: str
    measured: str
    interval: str
    margin: str
    detail: str
    advice: str
    tone: str
    word: str
    bar: Markup | None


def objective_rows(result: Result) -> list[ObjectiveRow]:
    """One row an objective."""
    return [_objective_row(objective) for objective in result.objectives]


def _objective_row(o: ObjectiveResult) -> ObjectiveRow:
    tone, word = MET[o.met]
    name, bound = KINDS.get(o.kind, o.kind), o.objective
    if o.kind in ("reading", "honest"):
        probe, _, bound = o.objective.partition(" ")
        name = f"{name} {probe}"
    measured, interval = measure(o.kind, o.measured), span(o.kind, o.low, o.high)
    if o.measured is None and interval:
        measured, interval = interval, ""
    return ObjectiveRow(
        service=o.service,
        name=name,
        objective=bound.replace("<=", "\N{LESS-THAN OR EQUAL TO}").replace(">=", "\N{GREATER-THAN OR EQUAL TO}"),
        measured=measured,
        interval=interval,
        margin=_margin(o),
        detail=o.detail,
        advice="" if o.met else advice(o.kind, o.met),
        tone=tone,
        word=word,
        bar=bullet(o),
    )


def _margin(o: ObjectiveResult) -> str:
    """What is left of what was allowed, counted from the end of the interval that speaks against it."""
    if o.bound is None or o.kind in ("reading", "order"):
        return DASH
    if o.kind in (*DURATIONS, "lost-writes"):
        worst = o.high if o.high is not None else o.low if o.met is False else None
        if worst is None:
            return DASH
        left, unit = o.bound - worst, plain if o.kind == "lost-writes" else seconds
        return f"{unit(left)} left" if left >= 0 else f"{unit(-left)} over"
    if o.low is None:
        return DASH
    points = (o.low - o.bound) * 100
    return "none needed" if abs(points) < 1e-9 else f"{points:+.2f} points"


@dataclass(frozen=True)
class FaultRow:
    """A fault with the time of each of its states, UTC."""

    kind: str
    target: str
    states: Sequence[tuple[str, str]]
    t0: str
    proof: str
    back: str
    tone: str


def fault_rows(history: History) -> list[FaultRow]:
    """One row a fault."""
    return [_fault_row(fault) for fault in history.faults]


def _fault_row(fault: FaultLife) -> FaultRow:
    confirmed, back = fault.reached(FaultState.CONFIRMED), fault.reached(FaultState.CONFIRMED_REVERTED)
    last = fault.events[-1].body
    is_back = last.state is FaultState.CONFIRMED_REVERTED
    return FaultRow(
        kind=fault.kind,
        target=fault.target,
        states=[(event.body.state.value.replace("_", " "), clock(event.at)) for event in fault.events],
        t0=_took_effect(fault),
        proof=confirmed.body.detail if confirmed else last.detail,
        back=(back.body.detail if back and is_back else last.detail) or ("confirmed" if is_back else "not confirmed"),
        tone="good" if is_back else "bad",
    )


def _took_effect(fault: FaultLife) -> str:
    if not fault.broke:
        return "made by the drill, nothing was broken"
    t0 = fault.t0
    return f"known within {seconds(t0.latest - t0.earliest)}" if t0 else "never confirmed"


STEP_TONES = {
    "done": ("good", "done"),
    "failed": ("bad", "failed"),
    "not_executed": ("unsure", "not executed"),
    "unknown": ("unsure", "unknown"),
}
_BY = {"machine": "a machine", "person": "a person", "flag": "a person, answered beforehand"}


@dataclass(frozen=True)
class StepRow:
    """A step of a procedure: when after T0, how long, by whom, how it ended."""

    part: str
    name: str
    kind: str
    start: str
    duration: str
    by: str
    tone: str
    word: str
    detail: str


def step_rows(result: Result) -> list[StepRow]:
    """One row a step, also of those that never began."""
    return [
        StepRow(
            part="to go home" if step.part == "failback" else "to recover",
            name=step.step,
            kind=step.kind.replace("_", " "),
            start=seconds(step.started_s),
            duration=seconds(step.duration_s),
            by=_BY[step.by],
            tone=STEP_TONES[step.outcome][0],
            word=STEP_TONES[step.outcome][1],
            detail=step.detail,
        )
        for step in result.steps
    ]


@dataclass(frozen=True)
class TrafficRow:
    """Requests of one service in one phase."""

    service: str
    phase: str
    total: int
    bad: int
    missing: int
    good: str


def traffic_rows(result: Result) -> list[TrafficRow]:
    """Requests by service and phase; the last row of a service is from T0 to the end of the fail-back."""
    return [
        _traffic_row(service, phase, tally)
        for service, phases in result.tallies.items()
        for phase, tally in phases.items()
    ]


def _traffic_row(service: str, phase: str, tally: Tally) -> TrafficRow:
    name = "T0 to end of fail-back" if phase == "outage" else phase
    share = tally.good / tally.total if tally.total else None
    return TrafficRow(service, name, tally.total, tally.total - tally.good, tally.missing, percent(share))


@dataclass(frozen=True)
class StreamRow:
    """One stream of client samples: what came in, and what went wrong."""

    name: str
    every: str
    timeout: str
    samples: int
    median: str
    slowest: str
    errors: str


def stream_rows(history: History) -> list[StreamRow]:
    """One row a stream, over the whole run."""
    return [_stream_row(track) for track in history.tracks.values()]


def _stream_row(track: Track) -> StreamRow:
    latencies = sorted(s.latency for s in track.samples if s.ok)
    errors = Counter(s.error or "no reason" for s in track.samples if not s.ok)
    return StreamRow(
        name=track.stream.name,
        every=f"{track.stream.interval * 1000:g} ms",
        timeout=seconds(track.stream.timeout),
        samples=len(track.samples),
        median=seconds(latencies[len(latencies) // 2] if latencies else None),
        slowest=seconds(latencies[-1] if latencies else None),
        errors=", ".join(f"{count} {name}" for name, count in errors.most_common()) or "none",
    )


@dataclass(frozen=True)
class ProbeRows:
    """The readings of one probe: how many, and those that say most."""

    probe: str
    total: int
    without: int
    lowest: str
    highest: str
    rows: Sequence[tuple[str, str, str, str, str]]

    @property
    def left_out(self) -> int:
        """Readings that are in the evidence but not in the table."""
        return self.total - len(self.rows)


def probe_rows(history: History) -> list[ProbeRows]:
    """One table a probe. Readings without data and changes of value come first to be shown."""
    names = dict.fromkeys(moment.body.probe for moment in history.readings)
    return [_probe_rows(history, [m for m in history.readings if m.body.probe == name]) for name in names]


def _probe_rows(history: History, moments: list[Moment[Reading]]) -> ProbeRows:
    values = [m.body.value for m in moments if m.body.value is not None]
    chosen, last = [], dict[str, object]()
    for moment in moments:
        state = (moment.body.value, moment.body.no_data)
        if last.get(moment.body.key) != state:
            chosen.append(moment)
        last[moment.body.key] = state
    shown = (chosen if len(moments) > READINGS_SHOWN else moments)[:READINGS_SHOWN]
    return ProbeRows(
        probe=moments[0].body.probe,
        total=len(moments),
        without=len(moments) - len(values),
        lowest=plain(min(values, default=None)),
        highest=plain(max(values, default=None)),
        rows=[_reading_row(history, moment) for moment in shown],
    )


def _reading_row(history: History, moment: Moment[Reading]) -> tuple[str, str, str, str, str]:
    body = moment.body
    value = plain(body.value) if body.no_data is None else f"no data: {body.no_data.value}"
    claimed = f"a plain query says {plain(body.plain)}" if body.no_data and body.plain is not None else ""
    detail = "; ".join(part for part in (body.detail, claimed) if part)
    return (clock(moment.at), phase_at(history, moment.t), body.key, value, detail)


def phase_at(history: History, t: float) -> str:
    """The phase in which a moment lies, or a dash."""
    return next((phase.value for phase, window in history.phases.items() if window.holds(t)), DASH)


def phase_rows(history: History) -> list[tuple[str, str]]:
    """Each phase with its length; those that never came have a dash."""
    return [(p.value, seconds(history.phases[p].length) if p in history.phases else DASH) for p in Phase]
