"""Whether a view claimed what was not so, for longer than it may."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil

from blackstart.evidence.records import Phase
from blackstart.judge.case import Case
from blackstart.judge.views import View, seconds_of
from blackstart.schema.drill import HonestObjective
from blackstart.schema.result import ObjectiveResult


def judge_honest(case: Case, service: str, objective: HonestObjective) -> ObjectiveResult:
    """The true figure lies between the seconds that were wrong, and those with the ones that nobody could check."""
    found, bound = seconds_of(case, objective), objective.objective
    gaps = list(_gaps(case, objective, found))
    wrong = _seconds(found, ("wrong",))
    high = None if gaps else _seconds(found, ("wrong", "unknown"))
    met = False if wrong > bound else True if high is not None and high <= bound else None
    return ObjectiveResult(
        service=service,
        kind="honest",
        objective=f"{objective.probe} wrong for <= {bound:g} s",
        measured=None if gaps and not wrong else wrong,
        resolution=None if high is None else high - wrong,
        met=met,
        detail=gaps[0] if gaps and met is None else _detail(found, wrong, high),
        bound=bound,
        low=wrong,
        high=high,
    )


def _seconds(found: Sequence[View], words: tuple[str, ...], *, plain: bool = False) -> float:
    """Seconds in which any key was one of `words`: two that are wrong at once are one second."""
    rows = zip(*(view.seconds for view in found), strict=True)
    return float(sum(any((s.plain_view if plain else s.view) in words for s in row) for row in rows))


def _detail(found: Sequence[View], wrong: float, high: float | None) -> str:
    watched = len(found[0].seconds)
    plain = _seconds(found, ("wrong",), plain=True)
    unchecked = f", for {high - wrong:g} s nobody could check it" if high is not None and high > wrong else ""
    silent = _seconds(found, ("silent",))
    said = f"wrong for {wrong:g} of {watched} s{unchecked}, no data for {silent:g} s"
    return f"{said}; a plain query was wrong for {plain:g} s"


def _gaps(case: Case, objective: HonestObjective, found: Sequence[View]) -> Iterator[str]:
    """Why there is not enough to compare: no T0, no reading, silence, no truth, or nothing true before the fault."""
    if case.t0 is None:
        yield "no confirmed T0"
        return
    name, start, end = objective.probe, case.start_of(Phase.BASELINE), case.start_of(Phase.SETTLE)
    if not found:
        yield f"no data: probe {name} was not read"
    for view in found:
        of = f", {view.key}" if view.key else ""
        if not view.tried:
            yield f"before the fault {name}{of} never claimed what {objective.truth} says, so nothing was at stake"
        untold = sum(s.true is None for s in view.seconds[ceil(case.patience(objective.truth)) :])
        if untold:
            yield f"no data: {objective.truth} did not tell what was so{of} for {untold} s"
        own = (m.t for m in case.history.readings if m.body.probe == name and m.body.key == view.key)
        times = sorted(t for t in own if start <= t < end)
        longest = max(b - a for a, b in pairwise([start, *times, end]))
        if longest > case.patience(name):
            yield f"no data: probe {name}{of} was silent for {longest:.1f} s"
