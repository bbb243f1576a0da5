"""What the probes of replicated stores share: whom they ask, what errors mean, and how late a replica is."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from pydantic import Field

from blackstart.evidence.records import Reason
from blackstart.fleet.stores import Member, Store
from blackstart.probes.base import NoData, ProbeSpec, Scope
from blackstart.schema.base import Seconds

_KEPT = 100
_CANNOT_TELL = (Reason.REFUSED, Reason.TIMEOUT)


class StoreSpec(ProbeSpec):
    """A `store` of the fleet, by role or name, and its members in `regions` (roles); none means those that fit.

    `grace`: how late what the source sends may come before nothing that the
    replica says of itself is believed.
    """

    store: str
    regions: list[str] = []
    grace: Seconds = Field(default=3.0, gt=0)


@dataclass(frozen=True)
class Server:
    """A member of a store."""

    region: str
    store: Store
    member: Member

    def share(self, spec: ProbeSpec) -> float:
        """Seconds for one of the two servers that a look asks."""
        return spec.deadline * 0.4


def store_of(spec: StoreSpec, scope: Scope, kinds: Collection[str]) -> Store:
    """The store. Raises NoData."""
    name = scope.resolve(spec.store)
    store = scope.fleet.stores.get(name)
    if store is None:
        raise NoData(Reason.MALFORMED, f"{name!r} is not a store of fleet {scope.fleet.fleet!r}")
    if store.kind not in kinds:
        raise NoData(Reason.MALFORMED, f"store {name!r} is a {store.kind}, not one of {', '.join(kinds)}")
    return store


def servers(spec: StoreSpec, scope: Scope, store: Store, otherwise: Collection[str]) -> list[Server]:
    """The members that are asked, `otherwise` where no regions are named. Raises NoData."""
    regions = scope.regions(spec.regions) if spec.regions else list(otherwise)
    for region in regions:
        if region not in store.members:
            raise NoData(Reason.MALFORMED, f"store {spec.store!r} has no member in region {region!r}")
    return [Server(region, store, store.members[region]) for region in regions]


def source_of(server: Server, address: str) -> Server:
    """The member at the address (host:port) that a replica follows. Raises NoData."""
    for region, member in server.store.members.items():
        if address in (member.client_address, member.address):
            return Server(region, server.store, member)
    known = ", ".join(member.client_address for member in server.store.members.values())
    raise NoData(Reason.MALFORMED, f"{server.region} follows {address}, which is no member in fleet.yaml: {known}")


def ask_source[T](source: Server, work: Callable[[], T]) -> T:
    """What `work` asks of the source; without its answer nobody knows what a replica lacks. Raises NoData: stale."""
    try:
        return work()
    except NoData as error:
        if error.reason not in _CANNOT_TELL:
            raise
        raise NoData(
            Reason.STALE, f"what the replica lacks is unknown: its source {source.region} does not answer: {error}"
        ) from None


@dataclass
class Trail[P]:
    """Where a source was at each look, so that a replica's position says how late it is."""

    seen: list[tuple[float, P]] = field(default_factory=list)

    def add(self, at: float, position: P) -> None:
        """The source was there at a time (monotonic, seconds)."""
        self.seen = [*self.seen[-_KEPT:], (at, position)]

    def delay(self, now: float, covers: Callable[[P], bool]) -> float | None:
        """Seconds since the newest position of the source that the replica has; None when it has none of them.

        The position of this very look counts as 0: the replica has everything.
        """
        newest = next((i for i in reversed(range(len(self.seen))) if covers(self.seen[i][1])), None)
        if newest is None:
            return None
        self.seen = self.seen[newest:]
        return 0.0 if len(self.seen) == 1 else now - self.seen[0][0]
