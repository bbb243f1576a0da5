"""Where things go on a timeline: its sizes, and time to place."""

from __future__ import annotations

from dataclasses import dataclass

from blackstart.evidence.history import Window
from blackstart.report.svg import REGIONS, Ink

WIDTH, LEFT, RIGHT = 960.0, 64.0, 14.0
ROW, STRIP, GAP = 16.0, 18.0, 26.0
TRAFFIC, FAILED, LATENCY = 150.0, 64.0, 76.0


@dataclass(frozen=True)
class Plot:
    """Time to place: the span drawn, and where the axis has its zero (seconds of the monotonic clock)."""

    window: Window
    zero: float

    def x(self, t: float) -> float:
        """The place of a moment, inside the panels."""
        share = (min(max(t, self.window.start), self.window.end) - self.window.start) / self.window.length
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def wide(self, seconds: float) -> float:
        """The width of a length of time."""
        return seconds / self.window.length * (WIDTH - LEFT - RIGHT)


def ink_of(index: int) -> Ink:
    """The colour of the region at a place in the legend."""
    return REGIONS[index % len(REGIONS)]
