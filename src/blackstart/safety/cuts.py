"""The network cuts of a run, which the kernel heals unless they are renewed."""

from __future__ import annotations

import time

from blackstart.evidence.records import FaultState
from blackstart.evidence.undo import Entry, Store
from blackstart.faults.base import Expiring, fault_of
from blackstart.fleet.model import Fleet
from blackstart.fleet.nft import Expired

_IN_PLACE = (FaultState.APPLIED, FaultState.CONFIRMED)
_SECOND_LOOK = 0.5
"""Seconds until the record of a cut that was just taken away must be there."""


class Cuts:
    """All faults of a run that expire by themselves, by what the undo store says; `ttl` in seconds."""

    name = "the network cuts"
    region = None

    def __init__(self, store: Store, run: str, fleet: Fleet, ttl: float) -> None:
        self._store, self._run, self._fleet, self._ttl = store, run, fleet, ttl

    def renew(self) -> None:
        """Let every cut that is in place last `ttl` seconds from now. Raises Expired, NftError."""
        for entry in self._in_place():
            fault = fault_of(entry.undo.kind)
            if isinstance(fault, Expiring):
                try:
                    fault.renew(self._fleet, entry.undo, self._ttl)
                except Expired:
                    # Someone may be putting it back at this moment.
                    time.sleep(_SECOND_LOOK)
                    if entry.undo.id in [still.undo.id for still in self._in_place()]:
                        raise

    def _in_place(self) -> list[Entry]:
        return [entry for entry in self._store.read(self._run).outstanding if entry.state in _IN_PLACE]


def objects_changed(store: Store, run: str, region: str) -> bool:
    """Whether a fault that only a guardian could put back is outstanding in a region."""
    return any(
        region in entry.undo.clusters and getattr(fault_of(entry.undo.kind), "guarded", True)
        for entry in store.read(run).outstanding
    )
