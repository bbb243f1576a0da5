"""The times of a service: detected, moved, recovered, failed back. Formulas in docs/verdicts.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blackstart.evidence.history import Sample, Track, Window
from blackstart.evidence.records import Interval, Phase
from blackstart.judge.case import Case
from blackstart.judge.steady import Series
from blackstart.schema.drill import Steady
from blackstart.schema.result import Clock, Span


@dataclass(frozen=True)
class Elapsed:
    """A time that lies between `low` and `high` seconds; `high` None: it did not come to pass while watched.

    `measured` is the figure to quote: the latest it can have been, or 0 when
    nothing was ever amiss.
    """

    low: float
    high: float | None
    measured: float | None


@dataclass(frozen=True)
class Times:
    """The clock of one service. None: cannot be said at all (no T0, no stream, undo not confirmed)."""

    t0: Interval | None
    detected: float | None
    moved: float | None
    recovered: Elapsed | None
    failback: Elapsed | None
    held: float | None
    resolution: float | None

    def clock(self) -> Clock:
        """As result.json has it."""
        return Clock(
            t0=Span(earliest=self.t0.earliest, latest=self.t0.latest) if self.t0 else None,
            detected_s=_ms(self.detected),
            moved_s=_ms(self.moved),
            recovered_s=_ms(self.recovered.measured if self.recovered else None),
            resolution_s=_ms(self.resolution),
            failback_s=_ms(self.failback.measured if self.failback else None),
            held_s=_ms(self.held),
        )


def times(case: Case, service: str) -> Times:
    """What the clients of a service saw, on both of its entry streams: the worse of the two counts."""
    tracks, watched = case.history.entries(service), case.watched
    if case.t0 is None or watched is None or not tracks:
        return Times(case.t0, None, None, None, None, None, None)
    recovered = [_recovery(case, track, case.t0, watched.end) for track in tracks]
    return Times(
        t0=case.t0,
        detected=min((d for t in tracks if (d := _detected(case, t, watched)) is not None), default=None),
        moved=_last([_moved(case, track, watched) for track in tracks]),
        recovered=_worst(recovered),
        failback=_failback(case, tracks),
        held=watched.length,
        resolution=case.t0.latest - case.t0.earliest + max(track.stream.interval for track in tracks),
    )


def _detected(case: Case, track: Track, watched: Window) -> float | None:
    """First request after T0, or in flight then, that failed or was served by another region than before."""
    before = case.home(track)
    for sample in track.samples:
        if sample.due >= watched.end:
            return None
        in_flight = sample.due < watched.start <= sample.answered
        if (in_flight or sample.due >= watched.start) and not (case.good(sample) and sample.region in before):
            return max(0.0, sample.due - watched.start)
    return None


def _moved(case: Case, track: Track, watched: Window) -> float | None:
    """From when on all good answers come from survivors; None when never, or nobody was to lose traffic."""
    survivors = set(case.history.header.survivors)
    if not case.history.header.victims:
        return None
    samples = track.within(watched)
    arrived = [s.answered for s in samples if case.good(s) and s.region in survivors]
    stray = max((i for i, s in enumerate(samples) if case.good(s) and s.region not in survivors), default=-1)
    after = [s.answered for s in samples[stray + 1 :] if case.good(s)]
    if not arrived or not after:
        return None
    return 0.0 if stray < 0 and case.good(samples[0]) else min(after) - watched.start


def _recovery(case: Case, track: Track, since: Interval, end: float) -> Elapsed:
    """From `since` to the first good answer that starts steadiness lasting to `end`."""
    samples = track.within(Window(since.earliest, end))
    steady = case.drill.steady
    return _elapsed(samples, [case.good(s) for s in samples], track.stream.interval, since, end, steady)


def _elapsed(
    samples: Sequence[Sample], flags: Sequence[bool], interval: float, since: Interval, end: float, steady: Steady
) -> Elapsed:
    series = Series([s.due for s in samples], flags, interval, end)
    start = series.steady_from(steady.success, steady.window)
    if start is None:
        possible = series.still_possible(steady.success, steady.window) if samples else since.latest
        return Elapsed(max(0.0, possible - since.latest), None, None)
    if start == 0:
        # Nothing amiss from the start: an outage that falls between two requests is shorter than their distance.
        return Elapsed(0.0, interval, 0.0)
    answered = _first_answer(samples[start:], flags[start:]) - since.earliest
    return Elapsed(max(0.0, samples[start - 1].due - since.latest), answered, answered)


def _first_answer(samples: Sequence[Sample], flags: Sequence[bool]) -> float:
    """When the first answer that counts arrived: requests that waited may be overtaken by later ones."""
    best = samples[0].answered
    for sample, counts in zip(samples, flags, strict=True):
        if sample.due >= best:
            break
        if counts:
            best = min(best, sample.answered)
    return best


def _failback(case: Case, tracks: Sequence[Track]) -> Elapsed | None:
    """From the confirmed end of the undo until home serves again and the service is steady, to the end."""
    if case.undone is None or Phase.FAILBACK not in case.history.phases:
        return None
    return _worst([_failback_of(case, track, case.undone) for track in tracks])


def _failback_of(case: Case, track: Track, undone: float) -> Elapsed:
    """Steady, and every region that served in the baseline serves half of its share of each window again."""
    since = Interval(earliest=undone, latest=undone)
    interval = track.stream.interval
    end = min(case.history.window.end, track.samples[-1].due + interval) if track.samples else undone
    samples = track.within(Window(undone, end))
    found = [_recovery(case, track, since, end)]
    for region, share in case.home(track).items():
        flags = [case.good(s) and s.region == region for s in samples]
        returned = Steady(success=share / 2, window=case.drill.steady.window)
        found.append(_elapsed(samples, flags, interval, since, end, returned))
    return _worst(found)


def _worst(found: Sequence[Elapsed]) -> Elapsed:
    """The latest of several: a service is back when the last of its streams is."""
    highs = [e.high for e in found]
    figures = [e.measured for e in found]
    return Elapsed(
        low=max(e.low for e in found),
        high=None if None in highs else max(h for h in highs if h is not None),
        measured=None if None in figures else max(f for f in figures if f is not None),
    )


def _last(found: Sequence[float | None]) -> float | None:
    known = [f for f in found if f is not None]
    return max(known) if len(known) == len(found) else None


def _ms(seconds: float | None) -> float | None:
    """Rounded to a tenth of a millisecond; the clock is not better than that."""
    return None if seconds is None else round(seconds, 4)
