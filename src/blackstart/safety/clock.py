"""The clock for everything that expires."""

from __future__ import annotations

import time


def boottime() -> float:
    """Seconds that pass while the machine sleeps, too; others' clocks do not wait for it either."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
