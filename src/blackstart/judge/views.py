"""What a view claimed in each second, and what was so. Formulas in docs/verdicts.md."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isclose, isfinite

from blackstart.evidence.history import Moment, Window
from blackstart.evidence.records import Phase, Reading
from blackstart.judge.case import Case
from blackstart.schema.drill import HonestObjective
from blackstart.schema.result_views import Claim, Stretch, ViewResult

_ORDER: tuple[Claim, ...] = ("wrong", "unknown", "right", "silent")
"""Of several things said in one second the first of these counts."""


@dataclass(frozen=True)
class Told:
    """Values of one key in the order of time; None: no data."""

    times: Sequence[float]
    values: Sequence[float | None]

    def within(self, start: float, end: float) -> list[float | None]:
        """What was told from `start` to before `end`."""
        return list(self.values[bisect_left(self.times, start) : bisect_left(self.times, end)])


@dataclass(frozen=True)
class Second:
    """One second of a view: the truth at its end, and what was said that made it what it is."""

    start_s: int
    true: float | None
    said: Reading | None
    view: Claim
    plain: float | None
    plain_view: Claim


@dataclass(frozen=True)
class View:
    """One key of a view, second by second."""

    key: str
    seconds: Sequence[Second]

    def count(self, claim: Claim, *, plain: bool = False) -> int:
        """Seconds of one kind."""
        return sum((s.plain_view if plain else s.view) == claim for s in self.seconds)

    @property
    def tried(self) -> bool:
        """Whether it told the truth at least once before T0: else there is nothing to lose."""
        return any(s.view == "right" for s in self.seconds if s.start_s < 0)


def views(case: Case) -> list[ViewResult]:
    """Of each honest objective, in the drill's order; none without T0."""
    objectives = [o for o in case.drill.objectives if isinstance(o, HonestObjective)]
    return [_result(case, o, view) for o in objectives for view in seconds_of(case, o)]


def seconds_of(case: Case, objective: HonestObjective) -> list[View]:
    """One view for each key of the probe, from the baseline to the end of the fail-back; none without T0."""
    window = Window(case.start_of(Phase.BASELINE), case.start_of(Phase.SETTLE))
    if case.t0 is None:
        return []
    said = [m for m in case.history.readings if m.body.probe == objective.probe]
    truths = _truths(m for m in case.history.readings if m.body.probe == objective.truth)
    (every, _), zero = case.rhythm(objective.probe), case.t0.earliest
    first, last = floor(window.start - zero), ceil(window.end - zero)
    found = []
    for key in dict.fromkeys(m.body.key for m in said):
        mine = sorted((m for m in said if m.body.key == key), key=_time)
        true = truths.get(key) or (_sum(truths, objective.lag) if key == "" else Told((), ()))
        seconds = [_second(n, zero + n, mine, true, every, objective.lag) for n in range(first, last)]
        found.append(View(key, seconds))
    return found


def _second(n: int, start: float, told: list[Moment[Reading]], true: Told, every: float, lag: float) -> Second:
    """What was said counts from its moment for one period of the probe: then it should be said anew."""
    end = start + 1
    begun, over = bisect_right(told, start - every, key=_time), bisect_left(told, end, key=_time)
    heard = [moment.body for moment in told[begun:over]]
    truth = [value for value in true.within(start - lag, end) if value is not None]
    # What was so before the truth was first read is not known: a claim may be late by less than the lag.
    early = not true.times or true.times[0] > start - lag
    view, said = _worst([(_one(value_of(r), truth, early), r) for r in heard])
    plain_view, by = _worst([(_one(r.plain, truth, early), r) for r in heard])
    return Second(
        start_s=n,
        true=truth[-1] if truth else None,
        said=said,
        view=view,
        plain=by.plain if by else None,
        plain_view=plain_view,
    )


def _time(moment: Moment[Reading]) -> float:
    return moment.t


def _worst(found: list[tuple[Claim, Reading]]) -> tuple[Claim, Reading | None]:
    """The claim that counts of all in one second, with what was said; of equals the last."""
    return min(reversed(found), key=lambda claim: _ORDER.index(claim[0]), default=("silent", None))


def _one(claim: float | None, truth: Sequence[float], early: bool) -> Claim:
    if claim is None:
        return "silent"
    if any(isclose(claim, value, rel_tol=1e-9, abs_tol=1e-9) for value in truth):
        return "right"
    return "wrong" if truth and not early else "unknown"


def value_of(reading: Reading) -> float | None:
    """A number, or None: what says that it has no data has none, and NaN is no number."""
    found = reading.value if reading.no_data is None else None
    return found if found is not None and isfinite(found) else None


def _truths(moments: Iterable[Moment[Reading]]) -> dict[str, Told]:
    rows: dict[str, list[tuple[float, float | None]]] = {}
    for moment in moments:
        rows.setdefault(moment.body.key, []).append((moment.t, value_of(moment.body)))
    return {key: Told([t for t, _ in found], [v for _, v in found]) for key, found in rows.items()}


def _sum(truths: dict[str, Told], lag: float) -> Told:
    """The sum over all keys, whenever one is read; unknown while one of them is, or was not read for `lag`."""
    events = sorted((t, key, v) for key, told in truths.items() for t, v in zip(told.times, told.values, strict=True))
    last: dict[str, tuple[float, float | None]] = {}
    times, values = [], list[float | None]()
    for t, key, value in events:
        last[key] = (t, value)
        fresh = [v for at, v in last.values() if v is not None and t - at <= lag]
        times.append(t)
        values.append(sum(fresh) if len(fresh) == len(truths) else None)
    return Told(times, values)


def _result(case: Case, objective: HonestObjective, view: View) -> ViewResult:
    return ViewResult(
        service=case.history.named(objective.service),
        probe=objective.probe,
        truth=objective.truth,
        key=view.key,
        watched_s=len(view.seconds),
        wrong_s=view.count("wrong"),
        unknown_s=view.count("unknown"),
        silent_s=view.count("silent"),
        plain_wrong_s=view.count("wrong", plain=True),
        plain_unknown_s=view.count("unknown", plain=True),
        plain_silent_s=view.count("silent", plain=True),
        stretches=_stretches(view.seconds),
    )


def _stretches(seconds: Iterable[Second]) -> list[Stretch]:
    found: list[Stretch] = []
    for second in seconds:
        one = _stretch(second)
        if found and found[-1].end_s == one.start_s and _same(found[-1], one):
            found[-1] = found[-1].model_copy(update={"end_s": one.end_s})
        else:
            found.append(one)
    return found


def _stretch(second: Second) -> Stretch:
    said = second.said
    return Stretch(
        start_s=second.start_s,
        end_s=second.start_s + 1,
        true=second.true,
        claimed=value_of(said) if said else None,
        no_data=said.no_data.value if said and said.no_data else None,
        plain=second.plain,
        view=second.view,
        plain_view=second.plain_view,
    )


def _same(a: Stretch, b: Stretch) -> bool:
    return a.model_copy(update={"start_s": b.start_s, "end_s": b.end_s}) == b
