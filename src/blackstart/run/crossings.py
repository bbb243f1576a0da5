"""Reads, again and again, who tries to get through the faults of a run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from blackstart.evidence.records import Addresses, Body, Crossing, FaultState, Note, Tried
from blackstart.evidence.undo import Store
from blackstart.faults.base import Counting, FaultError, fault_of
from blackstart.fleet.model import Fleet
from blackstart.fleet.places import inside
from blackstart.probes.base import NoData
from blackstart.probes.envoyhosts import HostFailures, connect_failures
from blackstart.probes.threads import in_thread

EVERY = 2.0
"""Seconds between two looks: what a crash of the machine may cost."""

_DEADLINE = 2.0
_PATIENCE = 10.0

Read = Callable[[], list[Crossing]]
"""Everything that is counted now; blocking."""


async def book(addresses: Callable[[], Addresses], log: Callable[[Body], None]) -> None:
    """Write down whose addresses there are, as far as can be known in a moment; a drill does not depend on it."""
    try:
        found = await asyncio.wait_for(in_thread(addresses), _PATIENCE)
    except Exception as error:  # noqa: BLE001 - without names, addresses are shown
        found = Addresses(known=[], missing=[f"{type(error).__name__}: {error}"])
    log(found)


@asynccontextmanager
async def counting(read: Read, log: Callable[[Body], None]) -> AsyncIterator[None]:
    """Read before the block, during it, and once more at its end; what is as before is not logged again."""
    told: dict[tuple[str, str, str], object] = {}

    async def look() -> None:
        try:
            found = await asyncio.wait_for(in_thread(read), _PATIENCE)
        except Exception as error:  # noqa: BLE001 - a drill is not ended by what is only a finding
            found, key = [], ("", "", "")
            if told.get(key) != (said := f"{type(error).__name__}: {error}"):
                told[key] = said
                log(Note(level="warning", text=f"who tries to get through the faults cannot be read: {said}"))
        for crossing in found:
            key, news = (crossing.by, crossing.place, crossing.fault), _news(crossing)
            if told.get(key) != news:
                told[key] = news
                log(crossing)

    async def go_on() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), EVERY)
            await look()

    over = asyncio.Event()
    await look()
    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        over.set()
        await task


def _news(crossing: Crossing) -> object:
    return crossing.unread, [(row.source, row.destination, row.attempts) for row in crossing.tried]


class Tally:
    """The counters of one run: of its own cuts, and of the gateways, for what is lost without a cut."""

    def __init__(self, store: Store, run: str, fleet: Fleet) -> None:
        self._store, self._run, self._fleet = store, run, fleet
        # A look that was given up may still go on.
        self._lock = threading.Lock()
        self._gateways = {name: Gateway(fleet, name) for name, region in fleet.regions.items() if region.mesh}

    def read(self) -> list[Crossing]:
        """All of them now. Raises UndoError when it is not known which faults there are."""
        with self._lock:
            return [*self._cuts(), *(gateway.read() for gateway in self._gateways.values())]

    def _cuts(self) -> list[Crossing]:
        found: list[Crossing] = []
        for entry in self._store.read(self._run).outstanding:
            with suppress(FaultError):  # Whoever puts it back will tell.
                fault = fault_of(entry.undo.kind)
                if entry.state is FaultState.CONFIRMED and isinstance(fault, Counting):
                    found += fault.tried(self._fleet, entry.undo)
        return found


class Gateway:
    """The connections to other regions that a region's gateway could not open since the first look."""

    def __init__(self, fleet: Fleet, region: str) -> None:
        self._fleet, self._region = fleet, region
        self._before: dict[tuple[str, str], int] | None = None
        self._failed: dict[str, int] = {}

    def read(self) -> Crossing:
        """What failed so far; why not, when the gateway does not say."""
        region = self._fleet.regions[self._region]
        assert region.mesh is not None  # noqa: S101 - only regions with a mesh have a gateway
        gateway = region.mesh.gateway
        try:
            with inside(self._fleet.places[gateway.place]):
                hosts = connect_failures(gateway, _DEADLINE)
        except (NoData, OSError) as error:
            return Crossing(by="envoy", place=self._region, unread=str(error))
        self._take(hosts, region.mesh.locality or self._region)
        rows = [Tried(source="gateway", destination=to, attempts=n) for to, n in sorted(self._failed.items()) if n]
        return Crossing(by="envoy", place=self._region, tried=rows)

    def _take(self, hosts: list[HostFailures], home: str) -> None:
        now = {(h.cluster, h.address): h.failed for h in hosts if h.locality not in ("", home)}
        before = self._before
        self._before = {**(before or {}), **now}
        for key, failed in now.items() if before is not None else ():
            # A host that was away, or a gateway that was, counts from nought again.
            last = before.get(key, 0) if before else 0
            more = failed - last if failed >= last else failed
            self._failed[key[1]] = self._failed.get(key[1], 0) + more
