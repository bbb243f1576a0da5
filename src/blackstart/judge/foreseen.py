"""The forecast beside what was measured. It never changes a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from blackstart.evidence.history import Sample, Track
from blackstart.evidence.records import Phase
from blackstart.judge.case import Case
from blackstart.judge.clock import Times
from blackstart.schema.forecast import Compared, Expected, Figure, Foreseen

QUIET = 1.0
"""Seconds without a request in trouble, from which on what was lost counts as taken out of the routing."""

_SLOWER = 10
_SLOW = 0.1
"""A request is held up when it takes so many times the median of the baseline, and at least so many seconds."""


def foreseen(case: Case, clocks: Mapping[str, Times]) -> dict[str, Foreseen]:
    """Every forecast of the evidence with what came of it."""
    return {
        service: Foreseen(
            forecast=forecast,
            compared=[
                _compared(case, service, figure, expected, clocks.get(service))
                for figure, expected in forecast.expected().items()
            ],
        )
        for service, forecast in case.history.forecasts.items()
    }


def _compared(case: Case, service: str, figure: Figure, expected: Expected, times: Times | None) -> Compared:
    known, measured = _measured(case, service, figure, times)
    if not known or times is None:
        return Compared(figure=figure, expected=expected, measured=None, inside=None)
    inside = expected.holds(measured, times.resolution or 0.0)
    return Compared(
        figure=figure, expected=expected, measured=_ms(measured), inside=inside, error=_ms(expected.error(measured))
    )


def _measured(case: Case, service: str, figure: Figure, times: Times | None) -> tuple[bool, float | None]:
    """Whether the evidence says it, and the time; None: it did not come to pass."""
    if times is None or times.t0 is None:
        return False, None
    if figure == "taken_out":
        return True, taken_out(case, service)
    elapsed = times.recovered if figure == "recovered" else times.failback
    return elapsed is not None, elapsed.measured if elapsed else None


def taken_out(case: Case, service: str) -> float | None:
    """From T0 until requests go past what was lost: none failed, held up or served by a victim for a while.

    None: that did not happen while the fault was in place. The worse of the
    service's entry streams counts.
    """
    found = [_past(case, track) for track in case.history.entries(service)]
    known = [time for time in found if time is not None]
    return max(known) if known and len(known) == len(found) else None


def _past(case: Case, track: Track) -> float | None:
    if case.t0 is None or case.watched is None:
        return None
    samples, usual = track.within(case.watched), _usual(case, track)
    trouble = [sample.due for sample in samples if _troubled(case, sample, usual)]
    last = _end_of_first(trouble, case.t0.earliest)
    if not samples or case.watched.end - max(last, case.t0.earliest) < QUIET:
        return None
    after = [sample.due for sample in samples if sample.due > last]
    return max(0.0, after[0] - case.t0.earliest) if trouble and last > case.t0.earliest and after else 0.0


def _end_of_first(trouble: Sequence[float], since: float) -> float:
    """The last moment of trouble before the first quiet time."""
    last = since
    for due in trouble:
        if due - last >= QUIET:
            break
        last = due
    return last


def _troubled(case: Case, sample: Sample, usual: float) -> bool:
    header = case.history.header
    return not case.good(sample) or sample.latency > usual or sample.region in header.victims


def _usual(case: Case, track: Track) -> float:
    baseline = case.history.phases.get(Phase.BASELINE)
    latencies = [s.latency for s in track.within(baseline) if case.good(s)] if baseline else []
    return max(_SLOW, _SLOWER * median(latencies)) if latencies else float("inf")


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
