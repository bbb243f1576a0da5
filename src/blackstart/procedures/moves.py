"""What can be done with a store of any kind, and which stores know how."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from blackstart.fleet.model import Fleet
from blackstart.procedures.base import Diverged, StepError
from blackstart.procedures.clients import knocking
from blackstart.procedures.site import Site
from blackstart.schema.procedure import Step


class Moves(Protocol):
    """The moves of one kind of store. Each goes on from where a killed one stopped; each raises BlackstartError."""

    needs: str

    def promote(self, site: Site, to: str) -> str:
        """Make the server of a region the primary; the other may be dead."""

    def switch_back(self, site: Site, to: str) -> str:
        """The same as planned, without loss, and let the other follow."""

    def call_off(self, site: Site, region: str, back: str) -> str:
        """The server of `region` was to become the primary and takes no writes yet: `back` takes them again."""

    def rejoin(self, site: Site, region: str) -> str:
        """Let a server follow the primary. Raises Diverged when that would discard something."""

    def rebuild(self, site: Site, region: str) -> str:
        """Salvage what only this server has, and fill it anew."""


def moves_of(kind: str) -> Moves:
    """The moves of a kind of store. Raises StepError."""
    from blackstart.procedures.mariadb_moves import MariaDbMoves
    from blackstart.procedures.redis_moves import RedisMoves

    match kind:
        case "mariadb":
            return MariaDbMoves()
        case "redis":
            return RedisMoves()
        case _:
            raise StepError(f"no steps for stores of kind {kind!r}; use `command`")


def promote(site: Site, to: str) -> str:
    """Fence, drain, open, tell clients. Clusters are knocked at meanwhile: a dead one costs no time of its own."""
    with knocking(site.fleet, site.store) as knocks:
        return moves_of(site.store.kind).promote(replace(site, knocks=knocks), to)


def rejoin(site: Site, region: str, *, may_rebuild: bool) -> str:
    """Clients first, so that nobody writes to the old primary; then follow, or rebuild where that is allowed."""
    if region == site.primary:
        return f"{region} has the primary already"
    told = site.tell_clients(site.primary)
    moves, record = moves_of(site.store.kind), site.record
    try:
        if record and region in record.rebuilding:
            raise Diverged(f"{site.name} in {region} is half rebuilt")
        return f"{told}; {moves.rejoin(site, region)}"
    except Diverged as found:
        if not may_rebuild:
            raise Diverged(
                f"{found}; nothing was changed there but that it is fenced; `rebuild` salvages it"
            ) from None
        return f"{told}; {found}; {_refilled(site, region)}"


def rebuild(site: Site, region: str) -> str:
    """Clients first; then salvage and refill."""
    return f"{site.tell_clients(site.primary)}; {_refilled(site, region)}"


def switch_back(site: Site, to: str) -> str:
    """Home again: the record of the store is closed. A promotion that never came about is called off."""
    moves, record = moves_of(site.store.kind), site.record
    if record and record.stage == "begun" and record.was == to:
        said = moves.call_off(site, record.region, to)
        site.note(region=to, stage="promoted")
        said += f"; {site.tell_clients(to)}"
    else:
        said = moves.switch_back(site, to)
    record = site.record
    if record and to == record.home and not record.rebuilding:
        site.at_home()
    return said


def store_needs(fleet: Fleet, step: Step) -> list[str]:
    """What a step about a store takes, for people."""
    role, _ = step.on or ("", "")
    store = fleet.stores[fleet.resolve(role)]
    return [f"in the servers of {fleet.resolve(role)}, {moves_of(store.kind).needs}"]


def _refilled(site: Site, region: str) -> str:
    said = moves_of(site.store.kind).rebuild(site, region)
    record = site.record
    if record is not None:
        left = tuple(other for other in record.rebuilding if other != region)
        if left or record.region != record.home:
            site.note(rebuilding=left)
        else:
            site.at_home()
    return said
