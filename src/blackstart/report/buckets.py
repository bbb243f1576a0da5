"""Samples thinned out for a chart: at most so many points, and no error lost in an average."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from blackstart.evidence.history import Track, Window

POINTS = 900
_WIDTHS = (0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass
class Bucket:
    """The requests due in a short time from `start`: answers by region, failures, worst latency (seconds)."""

    start: float
    regions: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    slowest: float = 0.0

    @property
    def total(self) -> int:
        """Requests."""
        return sum(self.regions.values()) + self.failed


def width_for(window: Window, interval: float, points: int = POINTS) -> float:
    """A round width in seconds that makes at most `points` buckets, each of a few samples or more."""
    least = max(window.length / points, 5 * interval)
    return next((float(w) for w in _WIDTHS if w >= least), least)


def fill(tracks: Iterable[Track], window: Window, width: float) -> list[Bucket]:
    """The buckets of a window that hold any sample, in order, over all tracks together."""
    found: dict[int, Bucket] = {}
    for track in tracks:
        for sample in track.within(window):
            index = int((sample.due - window.start) / width + 1e-6)
            bucket = found.setdefault(index, Bucket(window.start + index * width))
            if sample.ok:
                bucket.regions[sample.region or "unnamed"] += 1
            else:
                bucket.failed += 1
            bucket.slowest = max(bucket.slowest, sample.latency)
    return [found[index] for index in sorted(found)]
