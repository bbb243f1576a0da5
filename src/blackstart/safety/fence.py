"""Whether this process may still change the fleet, asked right before each change.

A process that was stopped for a while does not know it. In the meantime the
guardian may have put things back, or the supervisor may have asked to undo.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from blackstart.evidence.failpoints import failpoint
from blackstart.faults.base import Fenced, Fencing, unfenced
from blackstart.safety.clock import boottime

_ATTEMPTS = 3


class Fence:
    """All checks; an answer that took more than half of `ttl` seconds to get is too old, and asked for again."""

    def __init__(self, checks: Sequence[Fencing], ttl: float, clock: Callable[[], float] = boottime) -> None:
        self._checks, self._ttl, self._clock = checks, ttl, clock

    def __call__(self, regions: Collection[str]) -> None:
        """Raise Fenced, or what a check raises, unless the regions may be changed now."""
        for _ in range(_ATTEMPTS):
            failpoint("fence.before")
            began = self._clock()
            for check in self._checks:
                check(regions)
            failpoint("fence.after")
            if self._clock() - began <= self._ttl / 2:
                return
        raise Fenced("this process stands still for longer than the lease allows; nothing was changed")


_installed: list[Fencing] = [unfenced]


def install(fence: Fencing) -> None:
    """The fence of this process from now on: activities are found by name and share nothing else with it."""
    _installed[0] = fence


def installed() -> Fencing:
    """The fence of this process."""
    return _installed[0]
