"""How much of what was due is in the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from blackstart.evidence.history import Sample, Track, Window
from blackstart.evidence.records import Phase
from blackstart.judge.case import Case
from blackstart.schema.result import Tally

ENOUGH = 0.8
"""The share of the samples due in a period that must be there; from facts on drill scoring."""

LONGEST_GAP = 1.0
"""Seconds without a sample that are let pass, or three intervals of the stream if that is more."""


@dataclass(frozen=True)
class Coverage:
    """Samples of one stream in a window: how many are there, how many lack, the longest silence in seconds."""

    present: int
    missing: int
    gap: float

    @property
    def share(self) -> float:
        """Present of due, 0 to 1."""
        due = self.present + self.missing
        return self.present / due if due else 0.0


def coverage(track: Track, window: Window) -> Coverage:
    """What is there of a stream in a window."""
    dues = [sample.due for sample in track.within(window)]
    interval = track.stream.interval
    if not dues:
        return Coverage(0, int(window.length / interval), window.length)
    inner = [after - before for before, after in pairwise(dues)]
    head, tail = dues[0] - window.start, window.end - dues[-1]
    missing = sum(max(0, round(gap / interval) - 1) for gap in inner)
    missing += int(head / interval + 1e-6) + max(0, int(tail / interval - 1e-6))
    return Coverage(len(dues), missing, max([head, tail, *inner]))


def silence(track: Track, window: Window) -> str | None:
    """Why a stream says too little about a window; None when it says enough."""
    found = coverage(track, window)
    name = track.stream.name
    if not found.present:
        return f"{name}: not one sample in {window.length:.1f} s"
    if found.share < ENOUGH:
        return (
            f"{name}: only {found.present} of {found.present + found.missing} samples due arrived ({found.share:.0%})"
        )
    if found.gap > max(LONGEST_GAP, 3 * track.stream.interval):
        return f"{name}: no sample for {found.gap:.1f} s"
    return None


def tally(case: Case, service: str, window: Window, since: float | None = None) -> Tally:
    """Requests of a service due in a window, or in flight at `since`, on all of its entry streams."""
    good = total = missing = 0
    for track in case.history.entries(service):
        samples = _asked(track, window, since)
        good += sum(case.good(s) for s in samples)
        total += len(samples)
        missing += coverage(track, window).missing
    return Tally(good=good, total=total, missing=missing)


def late(case: Case, service: str, window: Window, since: float) -> int:
    """Of those requests the ones that were answered, but too slowly: retries hide errors, not the time they take."""
    asked = [s for track in case.history.entries(service) for s in _asked(track, window, since)]
    return sum(s.ok and not case.good(s) for s in asked)


def tallies(case: Case) -> dict[str, dict[str, Tally]]:
    """Service -> phase -> requests, from the baseline on, and `outage`: from T0 to the end of the fail-back."""
    found: dict[str, dict[str, Tally]] = {}
    for service in case.services:
        phases = [(p, w) for p, w in case.history.phases.items() if p not in (Phase.PREFLIGHT, Phase.SETTLE)]
        found[service] = {phase.value: tally(case, service, window) for phase, window in phases}
        if (rehearsed := rehearsed_window(case)) is not None:
            found[service]["outage"] = tally(case, service, rehearsed, since=rehearsed.start)
    return found


def rehearsed_window(case: Case) -> Window | None:
    """From T0 to the end of the fail-back; None without T0."""
    return Window(case.t0.earliest, case.start_of(Phase.SETTLE)) if case.t0 else None


def _asked(track: Track, window: Window, since: float | None) -> list[Sample]:
    return [s for s in track.samples if window.holds(s.due) or _in_flight(s, since)]


def _in_flight(sample: Sample, since: float | None) -> bool:
    return since is not None and sample.due < since <= sample.answered
