"""The objective about multi-active stores: how soon all members hold the same again, and that they do in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from blackstart.evidence.history import Window
from blackstart.evidence.records import FaultState, Phase
from blackstart.evidence.written import Convergence, Different
from blackstart.judge.case import Case
from blackstart.judge.writes import ledger_service
from blackstart.schema.drill import ConvergenceObjective
from blackstart.schema.result import ObjectiveResult

_NAMED = 3


def judge_convergence(case: Case, service: str, objective: ConvergenceObjective) -> ObjectiveResult:
    """The slowest record. A difference misses it; met only where all sides were written to, and read."""
    found = _records(case, service, objective)
    compared = [each for each in found.values() if each is not None]
    unlike = [each for each in compared if each.different]
    gaps = list(_gaps(case, service, found))
    low = max((_least(case, each) for each in compared), default=0.0)
    highs = [_most(case, each) for each in compared]
    high = None if gaps or None in highs else max((h for h in highs if h is not None), default=None)
    bound = objective.objective
    met = False if unlike or low > bound else None if high is None or high > bound else True
    return ObjectiveResult(
        service=service,
        kind=objective.kind,
        objective=f"<= {bound:g} s",
        measured=None if high is None or unlike else round(high, 4),
        resolution=None if high is None or unlike else round(high - low, 4),
        met=met,
        detail=_detail(case, compared, gaps, low, high),
        bound=bound,
        low=None if unlike else round(low, 4),
        high=None if high is None or unlike else round(high, 4),
    )


def _records(case: Case, service: str, objective: ConvergenceObjective) -> dict[tuple[str, str], Convergence | None]:
    """What must have been compared, and what came of it."""
    told = {(m.body.store, m.body.record): m.body for m in case.history.convergence}
    spec = case.fleet.services.get(service) if service == ledger_service(case) else None
    only = case.fleet.roles.get(objective.store, objective.store) if objective.store else None
    return {
        (name, record): told.get((name, record))
        for name in (spec.stores if spec else ())
        if case.fleet.stores[name].multi_active and only in (None, name)
        for record in case.fleet.stores[name].records
        if objective.record in (None, record)
    }


def _gaps(case: Case, service: str, found: dict[tuple[str, str], Convergence | None]) -> Iterator[str]:
    if not found:
        yield "no data: no multi-active store, or no ledger"
    for (store, record), each in found.items():
        wanted = case.fleet.stores[store].members
        if each is None:
            yield f"no data: {store}/{record} was not compared"
        elif len(wanted) < 2:
            yield f"no data: {store} has one member: there is nothing to compare"
        elif lacking := [member for member in wanted if member not in each.members]:
            yield f"no data: {store}/{record}: {'; '.join(each.unread) or f'{lacking[0]} was not read'}"
        elif not each.acknowledged:
            yield f"no data: {store}/{record}: no write was acknowledged"
    yield from _unwritten(case, service, found)


def _unwritten(case: Case, service: str, found: dict[tuple[str, str], Convergence | None]) -> Iterator[str]:
    """Members that nothing new had to come from: there, nothing was shown."""
    if case.t0 is None:
        yield "no data: no T0"
        return
    window = Window(case.t0.latest, case.start_of(Phase.UNDO))
    moments = [m for m in case.history.writes if m.body.service == service]
    # Each tells of the time since the one before: what straddles T0 may be of before.
    told = [m.body.taken for before, m in pairwise(moments) if window.holds(before.t) and window.holds(m.t)]
    members = {member: None for store, _ in found for member in case.fleet.stores[store].members}
    # Where a region is taken away nobody can write: there only the others can go on.
    for member in (each for each in members if each not in case.history.header.victims):
        if not sum(taken.get(member, 0) for taken in told):
            yield f"no data: no write was acknowledged at the entry of {member} between T0 and the undo"


def _least(case: Case, each: Convergence) -> float:
    """Seconds that it surely took: from the last moment at which a fault may have been in place."""
    ends = [
        (fault.reached(FaultState.REVERTED) or fault.reached(FaultState.CONFIRMED_REVERTED))
        for fault in case.history.faults
    ]
    latest = max((event.t for event in ends if event), default=case.start_of(Phase.FAILBACK))
    return 0.0 if each.behind is None else max(0.0, each.behind - latest)


def _most(case: Case, each: Convergence) -> float | None:
    return None if each.level is None else max(0.0, each.level - case.start_of(Phase.UNDO))


def _detail(case: Case, compared: Sequence[Convergence], gaps: Sequence[str], low: float, high: float | None) -> str:
    if unlike := [each for each in compared if each.different]:
        return "; ".join(_unlike(case, each) for each in unlike)
    if gaps:
        return gaps[0]
    if high is None:
        return f"every member holds the same in the end, but not yet {low:.1f} s after the undo"
    bare = ", ".join(f"{each.store}/{each.record}" for each in compared if not each.content)
    n = min(each.acknowledged for each in compared)
    found = [
        f"all members have what was acknowledged, between {low:.2f} and {high:.2f} s after the undo",
        f"none of {n} differs in the end",
        *([f"of {bare} only ids were compared"] if bare else []),
    ]
    return "; ".join(found)


def _unlike(case: Case, each: Convergence) -> str:
    named = "; ".join(_named(case, example) for example in each.examples[:_NAMED])
    more = f" and {each.different - _NAMED} more" if each.different > _NAMED else ""
    said = f"; replication: {'; '.join(each.replication)}" if each.replication else ""
    return f"{each.different} writes differ in {each.store}/{each.record}: {named}{more}{said}"


def _named(case: Case, example: Different) -> str:
    t0 = case.t0.earliest if case.t0 else case.history.window.start
    when = (
        ""
        if example.acknowledged is None
        else f" (acknowledged by {example.by}, T0 {example.acknowledged - t0:+.3f} s)"
    )
    where = f"at {', '.join(example.held)}" if example.held else "nowhere"
    if example.missing and example.held:
        where += f", not at {', '.join(example.missing)}"
    return f"{example.id}{when} is {where}{', with different content' if example.differs else ''}"
