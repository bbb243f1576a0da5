"""When a guardian must act: pure decisions about what it saw of the run's Lease.

Expiry is judged by the guardian's own monotonic clock since the Lease was last
renewed: no two clocks are compared.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from blackstart.fleet.lease import GUARDIAN, Lease

_GRACE = 0.4
"""Share of the Lease's duration that a holder gets to renew once the API server answers again."""


@dataclass(frozen=True)
class Watch:
    """What is known of the Lease: its last renewal, since when (monotonic seconds), whether the last look failed."""

    mark: tuple[str, str, str] | None = None
    since: float = 0.0
    blind: bool = False
    graced: bool = False

    def lost_sight(self) -> Watch:
        """The watch after a look that failed."""
        return replace(self, blind=True)


class Step(enum.Enum):
    """What to do next."""

    WAIT = "wait"
    TAKE_OVER = "take over"
    RESTORE = "restore"


def see(watch: Watch, lease: Lease | None, now: float, age: float = 0.0) -> Watch:
    """The watch after a look that succeeded at `now`.

    age: for how many seconds an earlier life of the guardian has seen this
    renewal already; it counts at the first look only.

    When the API server was away, the holder could not renew either: it gets
    the time for that once, if the Lease would expire sooner.
    """
    if lease is None or lease.mark != watch.mark:
        first = watch.mark is None
        return Watch(mark=lease.mark if lease else None, since=now - age if first else now)
    if watch.blind and not watch.graced:
        since = max(watch.since, now - (1 - _GRACE) * lease.seconds)
        return replace(watch, since=since, blind=False, graced=True)
    return replace(watch, blind=False)


def decide(watch: Watch, lease: Lease, now: float) -> Step:
    """What the Lease, seen at `now`, means."""
    if lease.holder == GUARDIAN:
        # An earlier life of this guardian took it and did not finish.
        return Step.RESTORE
    return Step.TAKE_OVER if now - watch.since >= lease.seconds else Step.WAIT
