"""Each objective against the evidence: met, missed, or not known. Formulas in docs/verdicts.md."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from blackstart.evidence.history import Moment, Window
from blackstart.evidence.records import Check, Phase, Reading
from blackstart.judge.case import Case
from blackstart.judge.clock import Elapsed, Times
from blackstart.judge.convergence import judge_convergence
from blackstart.judge.coverage import late, rehearsed_window, silence, tally
from blackstart.judge.honest import judge_honest
from blackstart.judge.kept import judge_kept
from blackstart.judge.restored import judge_restore
from blackstart.judge.views import value_of
from blackstart.schema.drill import (
    AvailabilityObjective,
    BackupRpoObjective,
    CompletenessObjective,
    ConvergenceObjective,
    FailbackObjective,
    HonestObjective,
    LostWritesObjective,
    Objective,
    OrderObjective,
    ReadingObjective,
    RestoredObjective,
    RestoreRtoObjective,
    RpoObjective,
    RtoObjective,
)
from blackstart.schema.result import ObjectiveResult


def judge_objectives(case: Case, times: Mapping[str, Times]) -> list[ObjectiveResult]:
    """One result an objective, in the drill's order."""
    return [_judge(case, times, objective) for objective in case.drill.objectives]


def _judge(case: Case, times: Mapping[str, Times], objective: Objective) -> ObjectiveResult:
    service = case.history.named(objective.service)
    match objective:
        case RtoObjective():
            gap = _silence(case, service, case.start_of(Phase.INJECT), case.start_of(Phase.UNDO))
            return _duration(service, objective, times[service].recovered, "recovered", gap)
        case FailbackObjective():
            gap = _silence(case, service, case.start_of(Phase.UNDO), case.start_of(Phase.SETTLE))
            return _duration(service, objective, times[service].failback, "failed back", gap)
        case AvailabilityObjective():
            return _availability(case, service, objective)
        case CompletenessObjective():
            return _completeness(case, service, objective)
        case ReadingObjective():
            return _reading(case, service, objective)
        case HonestObjective():
            return judge_honest(case, service, objective)
        case RpoObjective() | LostWritesObjective() | OrderObjective():
            return judge_kept(case, service, objective)
        case ConvergenceObjective():
            return judge_convergence(case, service, objective)
        case RestoredObjective() | BackupRpoObjective() | RestoreRtoObjective():
            return judge_restore(case, service, objective)


def _duration(
    service: str, objective: RtoObjective | FailbackObjective, elapsed: Elapsed | None, done: str, gap: str | None
) -> ObjectiveResult:
    bound = objective.objective
    if elapsed is None or gap is not None:
        elapsed = Elapsed(0.0, None, None)
        met, detail = None, gap or "no confirmed moment to count from"
    else:
        met = True if elapsed.high is not None and elapsed.high <= bound else False if elapsed.low > bound else None
        detail = _duration_detail(elapsed, bound, met, done)
    return ObjectiveResult(
        service=service,
        kind=objective.kind,
        objective=f"<= {bound:g} s",
        measured=_round(elapsed.measured),
        resolution=_round(None if elapsed.high is None else elapsed.high - elapsed.low),
        met=met,
        detail=detail,
        bound=bound,
        low=_round(elapsed.low),
        high=_round(elapsed.high),
    )


def _silence(case: Case, service: str, start: float, end: float) -> str | None:
    """Why the clients of a service say too little about a period to tell times from it."""
    window = Window(start, end)
    gaps = [gap for track in case.history.entries(service) if (gap := silence(track, window))]
    return gaps[0] if gaps else None


def _duration_detail(elapsed: Elapsed, bound: float, met: bool | None, done: str) -> str:
    if elapsed.high is None:
        return f"not {done} after {elapsed.low:.1f} s" + ("" if met is False else ", and nobody watched for longer")
    if elapsed.measured == 0:
        return f"no interruption; one shorter than {elapsed.high:.3g} s would not be seen"
    span = f"{done} between {elapsed.low:.2f} and {elapsed.high:.2f} s"
    return span if met is not None else f"{span}: the clock cannot tell this from {bound:g} s"


def _availability(case: Case, service: str, objective: AvailabilityObjective) -> ObjectiveResult:
    window = rehearsed_window(case)
    found = tally(case, service, window, since=window.start) if window else None
    if window is None or found is None or not found.total:
        return _share(service, objective, None, None, None, "no confirmed T0, or no request")
    due = found.total + found.missing
    low, high = found.good / due, (found.good + found.missing) / due
    detail = f"{found.total - found.good} of {found.total} requests bad, from T0 to the end of the fail-back"
    if slow := late(case, service, window, since=window.start):
        detail += f"; {slow} of them were answered, but slower than {case.drill.client.slow:g} s"
    if found.missing:
        detail += f"; {found.missing} more were due and are not in the evidence"
    return _share(service, objective, found.good / found.total, low, high, detail)


def _completeness(case: Case, service: str, objective: CompletenessObjective) -> ObjectiveResult:
    checks = [c.body for c in case.history.checks if c.body.name.startswith(f"completeness/{service}/")]
    regions = case.fleet.services[service].workloads if service in case.fleet.services else {}
    seen = {check.name.split("/")[2] for check in checks}
    absent = [region for region in regions if region not in seen]
    total = len(checks) + len(absent)
    if not checks:
        return _share(service, objective, None, None, None, "nothing was checked after the drill")
    good, bad = sum(c.ok is True for c in checks), sum(c.ok is False for c in checks)
    detail = "; ".join([*map(_check_line, (c for c in checks if not c.ok)), *(f"{r}: not checked" for r in absent)])
    return _share(service, objective, good / total, good / total, (total - bad) / total, detail or "all there again")


def _check_line(check: Check) -> str:
    return f"{check.name}: {check.detail or ('unknown' if check.ok is None else 'failed')}"


def _share(
    service: str,
    objective: AvailabilityObjective | CompletenessObjective,
    measured: float | None,
    low: float | None,
    high: float | None,
    detail: str,
) -> ObjectiveResult:
    bound = objective.objective
    met = None
    if low is not None and high is not None:
        met = True if low >= bound else False if high < bound else None
    return ObjectiveResult(
        service=service,
        kind=objective.kind,
        objective=f">= {bound * 100:g} %",
        measured=measured,
        resolution=None if low is None or high is None else high - low,
        met=met,
        detail=detail,
        bound=bound,
        low=low,
        high=high,
    )


def _reading(case: Case, service: str, objective: ReadingObjective) -> ObjectiveResult:
    window = case.history.phases.get(Phase(objective.during))
    inside = [m for m in case.history.readings if m.body.probe == objective.probe and window and window.holds(m.t)]
    values = [value for m in inside if (value := value_of(m.body)) is not None]
    breaches = [value for value in values if not objective.bound.holds(value)]
    gaps = _gaps(case, objective, inside)
    worst = _worst(breaches or values, objective.bound.op)
    met = False if breaches else None if gaps else True
    detail = gaps[0] if gaps else f"{len(values)} readings, all within bounds"
    if breaches:
        detail = f"{len(breaches)} of {len(inside)} readings out of bounds"
    return ObjectiveResult(
        service=service,
        kind="reading",
        objective=f"{objective.probe} {objective.bound} during {objective.during}",
        measured=worst,
        resolution=None,
        met=met,
        detail=detail,
        bound=objective.bound.value,
    )


def _gaps(case: Case, objective: ReadingObjective, inside: list[Moment[Reading]]) -> list[str]:
    """Why the readings do not say enough: none, one without data, a series that vanished, a long silence."""
    name, window = objective.probe, case.history.phases.get(Phase(objective.during))
    if window is None or not inside:
        return [f"no data: probe {name} was not read during {objective.during}"]
    found = []
    empty = [m.body for m in inside if value_of(m.body) is None]
    if empty:
        why = empty[0].no_data.value if empty[0].no_data else "not a number"
        text = f" ({empty[0].detail})" if empty[0].detail else ""
        found.append(f"no data: probe {name}, {len(empty)} of {len(inside)} looks: {why}{text}")
    keys = {m.body.key for m in case.history.readings if m.body.probe == name and m.t < window.start}
    found += [
        f"no data: probe {name}, series {k!r} vanished" for k in sorted(keys - {m.body.key for m in inside}) if k
    ]
    times = sorted({window.start, *(m.t for m in inside), window.end})
    longest, allowed = max(b - a for a, b in pairwise(times)), case.patience(name)
    if longest > allowed:
        found.append(f"no data: probe {name} was silent for {longest:.1f} s")
    return found


def _worst(values: list[float], op: str) -> float | None:
    if not values:
        return None
    return max(values) if op in ("<", "<=") else min(values)


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
