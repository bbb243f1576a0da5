"""What puts things back when this machine cannot, as the supervisor sees it: locks, Leases, guardians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from blackstart.schema.errors import BlackstartError


class Held(BlackstartError):  # noqa: N818 - a finding
    """Another run has what this one needs, or nobody can tell: nothing may be touched."""

    exit_code = 15


class Gone(BlackstartError):  # noqa: N818 - a finding
    """What was to be renewed is no more; trying again is of no use."""


class Renewable(Protocol):
    """Something that expires unless it is renewed.

    name: what people call it. region: for a Lease that guards objects of one
    region, which region; losing it matters only while a fault of the run
    changes objects there. None: losing it always ends the drill.
    """

    @property
    def name(self) -> str: ...

    @property
    def region(self) -> str | None: ...

    def renew(self) -> None:
        """Hold it for another while. Blocks for some seconds at most.

        Raises fleet.lease.Lost, fleet.nft.Expired or Gone when it is no more;
        after anything else it is tried again until it must have expired.
        """


class Protection(Protocol):
    """Locks and guardians of one run. Every method blocks, has a deadline of its own, and is called in a thread."""

    def lock(self) -> Sequence[Renewable]:
        """Take the locks, first putting back what the holder of a stale one left. Raises Held, BlackstartError."""

    def start(self) -> Sequence[Renewable]:
        """Make Leases and guardians, and see that each guardian is alive. Raises BlackstartError: no injection."""

    def fenced(self) -> Sequence[tuple[str, str]]:
        """Region and namespace of each Lease that `start` made, which the child must see held before each change."""

    def end(self) -> None:
        """Take Leases and guardians away, whether or not `start` got to its end. Raises BlackstartError."""

    def unlock(self) -> None:
        """Give back the locks that are held; never raises for those that are not. Raises BlackstartError."""


class Unprotected:
    """Nothing but what this machine does by itself."""

    def lock(self) -> Sequence[Renewable]:
        """No locks."""
        return []

    def start(self) -> Sequence[Renewable]:
        """No guardians."""
        return []

    def fenced(self) -> Sequence[tuple[str, str]]:
        """No Leases."""
        return []

    def end(self) -> None:
        """Nothing to end."""

    def unlock(self) -> None:
        """Nothing to unlock."""
