"""The protection of a run on real clusters: its locks, its Leases, its guardians."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from blackstart.fleet.model import Fleet
from blackstart.plan.ward import Ward
from blackstart.safety.guardians import START, Guarded, GuardianError
from blackstart.safety.lock import Lock
from blackstart.safety.protection import Renewable
from blackstart.schema.errors import BlackstartError


class Protected:
    """What `blackstart.safety.protection.Protection` asks for.

    recover: puts the run of a stale lock back, or raises BlackstartError.
    ttl: seconds after which a Lease or lock that is not renewed has expired.
    """

    def __init__(
        self,
        lock: Lock,
        wards: Sequence[Ward],
        fleet: Fleet,
        run: str,
        ttl: float,
        recover: Callable[[str], None],
    ) -> None:
        self._lock, self._wards, self._fleet = lock, wards, fleet
        self._run, self._ttl, self._recover = run, ttl, recover
        self._guarded: list[Guarded] = []
        self.said: list[str] = []
        """What guardians that had taken over did; known after `end`."""

    def lock(self) -> Sequence[Renewable]:
        """Take the locks, first putting back what the holder of a stale one left. Raises Held."""
        self._lock.acquire(self._recover)
        return [self._lock]

    def start(self) -> Sequence[Renewable]:
        """Make Leases and guardians, and see that each guardian is alive. Raises BlackstartError: call `end` then."""
        self._guarded = [Guarded(ward, self._fleet, self._run, self._ttl) for ward in self._wards]
        self._all(lambda guarded: guarded.start(START))
        return self._guarded

    def fenced(self) -> Sequence[tuple[str, str]]:
        """Region and namespace of each Lease."""
        return [(ward.region, ward.namespace) for ward in self._wards]

    def end(self) -> None:
        """Delete the Leases and wait until all is gone that belongs to them. Raises GuardianError with what is not.

        Not while something is not put back: the guardians get their try once
        the Leases have expired.
        """
        self._all(lambda guarded: self.said.extend(guarded.end()))

    def unlock(self) -> None:
        """Give back the locks that are held. Raises GuardianError with those that must expire by themselves."""
        if trouble := self._lock.release():
            raise GuardianError("; ".join(trouble))

    def _all(self, work: Callable[[Guarded], object]) -> None:
        """Do it for all at once. Raises GuardianError with everything that went wrong."""
        trouble = []
        with ThreadPoolExecutor(max_workers=max(1, len(self._guarded))) as pool:
            for future in [pool.submit(work, guarded) for guarded in self._guarded]:
                try:
                    future.result()
                except BlackstartError as error:
                    trouble.append(str(error))
        if trouble:
            raise GuardianError("; ".join(trouble))
