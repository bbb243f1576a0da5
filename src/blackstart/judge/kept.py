"""Objectives about written data: RPO, lost writes, order. Each store and record counts, at each moment."""

from __future__ import annotations

from collections.abc import Sequence

from blackstart.evidence.written import StoreRead
from blackstart.judge.case import Case
from blackstart.judge.writes import Kept, kept, ledger_service, rpo
from blackstart.schema.drill import LostWritesObjective, OrderObjective, RpoObjective, WritesObjective
from blackstart.schema.result import ObjectiveResult

_Span = tuple[float, float]
_Figure = tuple[_Span, Kept, StoreRead]
"""Between what the true value lies, of what, as who said."""


def judge_kept(case: Case, service: str, objective: WritesObjective) -> ObjectiveResult:
    """The worst over all stores, records and moments. What nobody knows leaves it unknown, unless it is missed."""
    found = list(kept(case, objective.store, objective.record)) if service == ledger_service(case) else []
    figures = [(span, each, read) for each in found for read in each.reads if (span := _of(case, objective, read))]
    known = {id(each) for _, each, _ in figures}
    gaps = [f"no data: {each.name}: {each.why or 'no T0'}" for each in found if id(each) not in known]
    if not found:
        gaps = ["no data: no ledger, or nothing to read back"]
    low = max((span[0] for span, _, _ in figures), default=0.0)
    high = None if gaps else max(span[1] for span, _, _ in figures)
    bound = 0.0 if isinstance(objective, OrderObjective) else float(objective.objective)
    met = False if low > bound else None if high is None or high > bound else True
    return ObjectiveResult(
        service=service,
        kind=objective.kind,
        objective=_bound(objective),
        measured=None if high is None and met is None else round(high if high is not None else low, 4),
        resolution=None if high is None else round(high - low, 4),
        met=met,
        detail=_detail(objective, figures, gaps, met),
        bound=bound,
        low=round(low, 4),
        high=None if high is None else round(high, 4),
    )


def _of(case: Case, objective: WritesObjective, read: StoreRead) -> _Span | None:
    match objective:
        case RpoObjective():
            return rpo(case, read)
        case LostWritesObjective():
            return read.lost.count, read.lost.count
        case OrderObjective():
            return read.duplicated + read.reordered, read.duplicated + read.reordered


def _bound(objective: WritesObjective) -> str:
    scope = "/".join(part for part in (objective.store, objective.record) if part)
    of = f" in {scope}" if scope else ""
    match objective:
        case RpoObjective():
            return f"<= {objective.objective:g} s{of}"
        case LostWritesObjective():
            return f"<= {objective.objective}{of}"
        case OrderObjective():
            return f"no write twice or out of order{of}"


def _detail(objective: WritesObjective, figures: Sequence[_Figure], gaps: Sequence[str], met: bool | None) -> str:
    if gaps and met is not False:
        return gaps[0]
    span, each, read = max(figures, key=lambda found: found[0][1])
    where = f"{each.store}/{each.record} at {read.member} after the {each.moment}"
    n = read.acknowledged
    if isinstance(objective, OrderObjective):
        return f"{read.duplicated} twice, {read.reordered} out of order: {where}, {read.ids} ids"
    if not read.lost.count:
        return f"none of {n} acknowledged writes lost (with 95 % confidence at most {3 / n:.2g} of all): {where}"
    if isinstance(objective, RpoObjective):
        return f"the oldest of {read.lost.count} lost writes is {span[1]:.3f} s old; {n} acknowledged: {where}"
    return f"{read.lost.count} of {n} acknowledged writes lost: {where}"
