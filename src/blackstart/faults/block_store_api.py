"""The Thanos querier loses the store of a region's sidecar, as in a black hole; all else between the two goes on."""

from __future__ import annotations

import ipaddress
import time
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import paths, roles, storeapi
from blackstart.faults.base import FaultError, Target
from blackstart.faults.dropping import Dropping, Lasting, lasting
from blackstart.faults.observerparts import Where, own_path, sidecar_of
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet import nft
from blackstart.fleet.drops import from_server
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.schema.base import Model

_CONFIRM_REVERTED = 60.0
_LOOKS_AGAIN = 12.0
"""Seconds in which a querier surely looks at a store again: it does every 5 s, for up to 5 s."""


class _Data(Lasting):
    region: str
    place: str
    address: str


class _Before(Model):
    others: list[ControlPath]


class BlockStoreApi(Dropping):
    """Drops what the store sends, by its address and port."""

    kind = "block-store-api"
    immediate = True

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`region` by role; `expires` and `lease` as for `lasting`."""
        region = roles.region(fleet, args["region"])
        sidecar = sidecar_of(fleet, region)
        host = sidecar.address.rpartition(":")[0]
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            name = f"regions.{region}.sidecar.address"
            raise FaultError(f"fleet {fleet.fleet!r}: {name}: a cut needs an IPv4 address, not {host!r}") from None
        data = _Data(region=region, place=sidecar.place, address=sidecar.address, **lasting(args))
        return [Target(f"{region}/store", data.model_dump(), (region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """That the store answers, and the querier gets through to it: else nothing could show that it bites."""
        data = _Data.model_validate(target.data)
        if not storeapi.answers(fleet, data.place, data.address):
            raise FaultError(f"{self.kind} {target.name}: no answer at {data.address} from {data.place}")
        if url := storeapi.querier(fleet, data.region):
            _gets_through(fleet, f"{self.kind} {target.name}", data.region, url)
        others = [path for path in _others(fleet, data) if paths.answers(fleet, path)]
        return _Before(others=others).model_dump()

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """None: the store speaks no HTTP/1. `confirm` opens a connection, and asks the querier of its own."""
        return []

    def drops(self, fleet: Fleet, data: dict[str, Any]) -> nft.Drops:
        """What comes from the store."""
        found = _Data.model_validate(data)
        return {found.place: [from_server(found.address)]}

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """It drops; right after the change, old and new connections to the store are lost, and nothing else."""
        found = super().confirm(fleet, undo, within)
        if not within:
            return found
        ends = time.monotonic() + within
        data = _Data.model_validate(undo.data)
        if storeapi.answers(fleet, data.place, data.address):
            raise FaultError(f"{undo.kind} {undo.target}: {data.address} still answers a new connection")
        others = _Before.model_validate(undo.before).others
        if silent := [f"{path.place} -> {path.address}" for path in others if not paths.answers(fleet, path)]:
            raise FaultError(f"{undo.kind} {undo.target}: more than the store is lost: {', '.join(silent)}")
        said = [found, f"{data.address} takes no new connection", f"{len(others)} other paths answer"]
        if url := storeapi.querier(fleet, data.region):
            said.append(_noticed(fleet, undo, data.region, url, ends))
        return "; ".join(said)

    def over(self, fleet: Fleet, undo: Undo) -> list[ControlPath]:
        """None that speak HTTP/1."""
        return []

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """No place drops, and the store answers again."""
        super().confirm_reverted(fleet, undo)
        data = _Data.model_validate(undo.data)

        def look() -> str:
            if not storeapi.answers(fleet, data.place, data.address):
                raise NotYet(f"no answer at {data.address}")
            return f"nothing is dropped; {data.address} answers"

        return wait_for(f"{undo.kind} {undo.target}", _CONFIRM_REVERTED, look)


def _others(fleet: Fleet, data: _Data) -> list[ControlPath]:
    """What else goes the same way: the sidecar's own HTTP server, and the paths of links to the region."""
    plain = sidecar_of(fleet, data.region).url.startswith("http:")
    own = [own_path(fleet, Where(region=data.region, part="sidecar"))] if plain else []
    between = [link for link in fleet.links.values() if set(link.between) == {data.region, data.place}]
    over_links = [path for link in between for path in link.paths]
    return list(dict.fromkeys([*own, *over_links]))


def _gets_through(fleet: Fleet, what: str, region: str, url: str) -> None:
    """Wait until the querier says so: for some seconds it calls lost what has just come back. Raises FaultError."""

    def look() -> str:
        if why := storeapi.trouble(fleet, region):
            raise NotYet(f"the Thanos at {url} has lost it already: {why}")
        return ""

    wait_for(what, _LOOKS_AGAIN, look)


def _noticed(fleet: Fleet, undo: Undo, region: str, url: str, ends: float) -> str:
    """Wait until the querier says that it has lost the store: its connection is older than the fault."""

    def look() -> str:
        if not (why := storeapi.trouble(fleet, region)):
            raise NotYet(f"the Thanos at {url} still gets through to the store")
        return f"the Thanos at {url} has lost it: {why}"

    return wait_for(f"{undo.kind} {undo.target}", max(ends - time.monotonic(), 0.0), look)


FAULT = BlockStoreApi()
