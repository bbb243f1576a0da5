"""When a stream of samples is steady: enough of them good over every window."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import floor

_EPSILON = 1e-9


@dataclass(frozen=True)
class Series:
    """Samples as two columns: when each was due (seconds, ascending), and whether it counts.

    `interval`: seconds between two samples. `end`: until when they were taken.
    """

    dues: Sequence[float]
    flags: Sequence[bool]
    interval: float
    end: float

    def last_failing(self, success: float, length: float) -> int:
        """Index of the last window of `length` seconds with less than `success` true flags; -1: all are steady.

        A window starts at each sample, and counts when every sample due in it
        lies before `end`.
        """
        total = [0, *accumulate(int(flag) for flag in self.flags)]
        worst, stop = -1, 0
        for start, due in enumerate(self.dues):
            if not self.fits(due, length):
                break
            while stop < len(self.dues) and self.dues[stop] < due + length - _EPSILON:
                stop += 1
            if total[stop] - total[start] < success * (stop - start) - _EPSILON:
                worst = start
        return worst

    def steady_from(self, success: float, length: float) -> int | None:
        """Index of the first true flag from which on every window is steady, at least one; else None."""
        for index in range(self.last_failing(success, length) + 1, len(self.dues)):
            if not self.fits(self.dues[index], length):
                return None
            if self.flags[index]:
                return index
        return None

    def still_possible(self, success: float, length: float) -> float:
        """The earliest time from which a series that is not steady by its end may yet turn out to be so.

        Goes back from the last sample as long as no more flags are false than
        a whole window may hold. Nothing good at the end: the end of the samples.
        """
        if not self.dues:
            return self.end
        allowed = floor((1 - success) * length / self.interval + _EPSILON)
        earliest = min(self.end, self.dues[-1] + self.interval)
        bad = 0
        for index in range(len(self.dues) - 1, bisect_left(self.dues, self.end - length) - 1, -1):
            bad += not self.flags[index]
            if bad > allowed:
                break
            if self.flags[index]:
                earliest = self.dues[index]
        return earliest

    def fits(self, due: float, length: float) -> bool:
        """Whether a window that starts at `due` is over by the end."""
        return due + length <= self.end + self.interval - _EPSILON
