"""Whether a replica still hears of its source on the connection that it has."""

from __future__ import annotations

import time
from dataclasses import dataclass

from blackstart.faults import storeparts
from blackstart.faults.base import FaultError
from blackstart.faults.storeparts import Where
from blackstart.fleet.model import Fleet
from blackstart.schema.base import Model

_SLOWEST = 12.0
"""Seconds between signs of life above which a cut could not be proven in time; Redis pings every 10 s."""

_REDIS_PING = 10.0
_SLACK = 1.0


class Follower(Model):
    """A replica; `source`: host:port of its source at the other end; `every`: seconds between signs of life."""

    at: Where
    source: str
    every: float


@dataclass(frozen=True)
class Seen:
    """A replica at a moment. `mark` changes with everything that comes."""

    source: str | None
    connected: bool
    mark: tuple[object, ...]
    every: float
    said: str


def followers(fleet: Fleet, end: Where) -> list[Follower]:
    """The replicas that follow a server at the other end of a cut around one region. Raises FaultError."""
    store = storeparts.parts(fleet, end)[0]
    regions = {address: region for region, m in store.members.items() for address in (m.address, m.client_address)}
    found = []
    for region in store.members:
        at = Where(store=end.store, region=region)
        seen = look_at(fleet, Follower(at=at, source="", every=0))
        source = regions.get(seen.source or "")
        if seen.source and source and (region == end.region) != (source == end.region):
            found.append(Follower(at=at, source=seen.source, every=seen.every))
    return found


def look_at(fleet: Fleet, follower: Follower) -> Seen:
    """The replica now. Raises FleetError, FaultError."""
    store = storeparts.parts(fleet, follower.at)[0]
    if store.kind == "redis":
        with storeparts.redis_client(fleet, follower.at, store.reader) as client:
            info = client.info("replication")
        if info["role"] != "slave":
            return Seen(None, False, (), 0.0, "it follows nobody")
        link, offset = info["master_link_status"], info["slave_repl_offset"]
        source = f"{info['master_host']}:{info['master_port']}"
        return Seen(source, link == "up", (offset,), _REDIS_PING, f"link {link}")
    with storeparts.sql_session(fleet, follower.at, store.reader) as session:
        found = storeparts.replication(session, fleet, follower.at)
    if found is None:
        return Seen(None, False, (), 0.0, "it follows nobody")
    return Seen(found.source, found.receiver == "Yes", found.mark, found.period, found.said())


def alive(fleet: Fleet, follower: Follower) -> str:
    """Wait until something comes from the source. Raises FaultError when nothing does, or may not for too long."""
    first = look_at(fleet, follower)
    if not first.connected:
        raise FaultError(f"{follower.at}: {first.said}; replication must run before it can be cut")
    if not 0 < first.every <= _SLOWEST:
        raise FaultError(
            f"{follower.at}: its source sends a sign of life every {first.every:g} s: a cut could not be told from "
            "quiet in time; set master_heartbeat_period=1 (MySQL: SOURCE_HEARTBEAT_PERIOD=1)"
        )
    began = time.monotonic()
    while time.monotonic() - began < first.every + _SLACK:
        if look_at(fleet, follower).mark != first.mark:
            return f"something came within {time.monotonic() - began:.1f} s"
        time.sleep(0.1)
    raise FaultError(f"{follower.at}: nothing has come from {follower.source} for {first.every + _SLACK:g} s")
