"""What stands between a run and PASS: each gate gives its reasons, none when the run may go through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from blackstart.evidence.history import FaultLife, Track, Window
from blackstart.evidence.records import Check, FaultState, Phase
from blackstart.judge import procedure, restored
from blackstart.judge.case import Case
from blackstart.judge.clock import Times
from blackstart.judge.coverage import silence
from blackstart.judge.ledger_gates import broken, unread, unsteady
from blackstart.judge.steady import Series
from blackstart.schema.result import ObjectiveResult

_SHORT = 0.9
"""A hold of less than this share of its length is no hold."""


_NAMES = {
    "rto": "RTO",
    "rpo": "RPO",
    "failback": "fail-back",
    "reading": "probe",
    "honest": "view",
    "lost-writes": "lost writes",
    "backup-rpo": "RPO of the backup",
    "restore-rto": "RTO of the restore",
}


@dataclass(frozen=True)
class Findings:
    """All that the gates look at. doubts: what is wrong with the files that the evidence speaks of."""

    case: Case
    times: dict[str, Times]
    objectives: Sequence[ObjectiveResult]
    doubts: Sequence[str] = ()


def not_put_back(f: Findings) -> Iterator[str]:
    """Whatever was armed must be confirmed to be reverted, and the run must have said that nothing is left."""
    history = f.case.history
    if history.injected and history.outstanding is None:
        yield "the run did not record what is left to put back"
    for name in history.outstanding.faults if history.outstanding else []:
        yield f"{name} was not put back"
    listed = set(history.outstanding.faults) if history.outstanding else set()
    for fault in history.faults:
        if fault.fault not in listed and (problem := _not_reverted(fault)):
            yield f"{fault.kind} of {fault.target}: {problem}"
    for check in _checks(f.case, "residue/"):
        if check.ok is not True:
            yield _check_line(check)


def blocked(f: Findings) -> Iterator[str]:
    """A lock, a freeze or an approval kept the run from starting."""
    end = f.case.history.end
    if end and end.body.how == "blocked":
        yield end.body.detail or "the run was blocked before it began"


def refused(f: Findings) -> Iterator[str]:
    """Preflight or baseline said no, and nothing was injected."""
    end = f.case.history.end
    if end and end.body.how == "refused":
        yield end.body.detail or "refused before anything was injected"


def missed_before_the_stop(f: Findings) -> Iterator[str]:
    """A guard ended a valid drill, but an objective had been missed beyond doubt by then."""
    end = f.case.history.end
    by_guard = bool(f.case.history.guards) and (end is None or end.body.how != "interrupted")
    if by_guard and not any([*not_broken(f), *bad_baseline(f), *silent_clients(f)]):
        missed = [o for o in f.objectives if o.met is False and o.kind in ("rto", "reading", "honest")]
        yield from map(_objective_line, missed)
        yield from stopped_early(f) if missed else ()


def stopped_early(f: Findings) -> Iterator[str]:
    """A guard, a signal or the runner itself ended the drill."""
    history = f.case.history
    for guard in history.guards:
        yield f"guard {guard.body.guard} {'saw nothing' if guard.body.blind else 'tripped'}: {guard.body.detail}"
    if history.end and history.end.body.how in ("aborted", "interrupted") and not history.guards:
        yield f"{history.end.body.how}: {history.end.body.detail or 'no reason recorded'}"


def not_broken(f: Findings) -> Iterator[str]:
    """The fault must have been injected, by an activity that succeeded, and confirmed by its control probe."""
    history = f.case.history
    injecting = [a.body for a in history.activities if a.body.injects]
    for activity in injecting:
        if activity.status != "succeeded":
            yield f"the activity {activity.name!r} {activity.status}: {activity.detail or 'no reason recorded'}"
    if not any(a.status == "succeeded" for a in injecting):
        yield "no activity that injects a fault succeeded"
    if not history.broken:
        yield "no fault was injected"
    yield from (f"{x.kind} of {x.target}: {problem}" for x in history.broken if (problem := _not_effective(x)))
    if not any(_not_effective(x) for x in history.broken):
        yield from _unnoticed(f)


def bad_baseline(f: Findings) -> Iterator[str]:
    """Before the fault every stream must have been there, and steady."""
    case = f.case
    yield from (_check_line(c) for c in _checks(case, "preflight/", "baseline/") if c.ok is False)
    window = case.history.phases.get(Phase.BASELINE)
    if window is None:
        yield "there was no baseline"
        return
    for service in case.services:
        kinds = {track.stream.connection for track in case.history.entries(service)}
        yield from (f"{service}: no client on {k} connections" for k in ("fresh", "kept") if k not in kinds)
    for track in case.history.tracks.values():
        if problem := silence(track, window) or _unsteady(case, track, window):
            yield f"baseline: {problem}"
    yield from unsteady(case)


def silent_clients(f: Findings) -> Iterator[str]:
    """Clients must have been heard from the baseline to the end of the fail-back."""
    case = f.case
    window = Window(case.start_of(Phase.BASELINE), case.start_of(Phase.SETTLE))
    for service in case.services:
        for track in case.history.entries(service):
            if problem := silence(track, window):
                yield problem


def incomplete(f: Findings) -> Iterator[str]:
    """Every phase must be there, the hold as long as planned, every check answered."""
    case = f.case
    if case.history.end is None:
        yield "the evidence ends before the run does"
    yield from (f"there was no {phase.value} phase" for phase in Phase if phase not in case.history.phases)
    hold = case.history.phases.get(Phase.HOLD)
    if hold and hold.length < _SHORT * case.drill.phases.hold:
        yield f"the hold lasted {hold.length:.1f} of {case.drill.phases.hold:g} s"
    for moment in case.history.checks:
        if moment.body.ok is not True and not moment.body.name.startswith("completeness/"):
            yield _check_line(moment.body)
    for activity in (moment.body for moment in case.history.activities):
        if activity.status != "succeeded" and activity.section != "rollbacks":
            yield f"the activity {activity.name!r} {activity.status}: {activity.detail}"
    yield from broken(case)


def not_rehearsed(f: Findings) -> Iterator[str]:
    """A step of the procedure was not executed: what it would have done is not known."""
    yield from procedure.not_rehearsed(f.case)


def step_failed(f: Findings) -> Iterator[str]:
    """A step of the procedure was tried, and failed."""
    yield from procedure.failed(f.case)


def objective_missed(f: Findings) -> Iterator[str]:
    """An objective was not kept."""
    yield from (_objective_line(o) for o in f.objectives if o.met is False)


def objective_unknown(f: Findings) -> Iterator[str]:
    """The evidence does not say whether an objective was kept, or what became of the writes."""
    yield from (_objective_line(o) for o in f.objectives if o.met is None)
    yield from unread(f.case)
    yield from f.doubts
    yield from restored.unproven(f.case)
    yield from restored.unwritten(f.case)


def not_felt(f: Findings) -> Iterator[str]:
    """Of each service an objective must say what its clients may feel: probes may be green while they suffer."""
    felt = {o.service for o in f.objectives if o.kind in ("rto", "availability")}
    for service in f.case.services:
        if service not in felt:
            yield f"{service}: no objective says what its clients may feel; give the drill an rto or availability"


def _not_reverted(fault: FaultLife) -> str | None:
    states = {event.body.state for event in fault.events}
    if states == {FaultState.FAILED}:
        # Refused before it was armed: nothing can have changed.
        return None
    last = fault.events[-1].body
    if last.state is FaultState.CONFIRMED_REVERTED:
        return None
    return f"not confirmed to be put back; last state {last.state.value}" + (
        f": {last.detail}" if last.detail else ""
    )


def _not_effective(fault: FaultLife) -> str | None:
    t0 = fault.t0
    for event in (moment.body for moment in fault.events):
        # A `failed` after the confirmation is a failed undo, which is another gate's.
        if event.state is FaultState.INEFFECTIVE or (event.state is FaultState.FAILED and t0 is None):
            return f"{event.state.value}: {event.detail or 'no reason recorded'}"
    if t0 is None or not (isfinite(t0.earliest) and isfinite(t0.latest)):
        return "not confirmed by its control probe"
    return None


def _unnoticed(f: Findings) -> Iterator[str]:
    """A service that a victim served, and that went on as if nothing had been, was not broken for its clients."""
    case, victims = f.case, set(f.case.history.header.victims)
    if (watched := case.watched) is None:
        return
    last = Window(watched.end - case.drill.steady.window, watched.end)
    for service in case.services:
        tracks = case.history.entries(service)
        served = victims & {region for track in tracks for region in case.home(track)}
        # A request that waited until the undo is answered by a region that is back, not by one that was never away.
        asked = [s for track in tracks for s in track.within(last) if s.answered < watched.end]
        still = sum(case.good(s) and s.region in victims for s in asked)
        if served and still and f.times[service].detected is None:
            regions = ", ".join(sorted(served))
            yield f"{service}: clients noticed nothing and {regions} answered to the end: a path bypasses the fault"


def _unsteady(case: Case, track: Track, window: Window) -> str | None:
    samples = track.within(window)
    flags = [case.good(sample) for sample in samples]
    steady = case.drill.steady
    series = Series([s.due for s in samples], flags, track.stream.interval, window.end)
    share = sum(flags) / len(flags)
    if share < steady.success or series.last_failing(steady.success, steady.window) >= 0:
        return f"{track.stream.name}: {share:.1%} good, {steady.success:.1%} is needed over every {steady.window:g} s"
    return None


def _checks(case: Case, *prefixes: str) -> list[Check]:
    return [m.body for m in case.history.checks if m.body.name.startswith(prefixes)]


def _check_line(check: Check) -> str:
    state = "unknown" if check.ok is None else "failed"
    return f"{check.name}: {check.detail or state}"


def _objective_line(objective: ObjectiveResult) -> str:
    name = _NAMES.get(objective.kind, objective.kind)
    return f"{objective.service}: {objective.detail} (objective: {name} {objective.objective})"
