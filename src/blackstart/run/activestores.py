"""Whether a multi-active store is as fleet.yaml says: every member takes writes, and has what the others have."""

from __future__ import annotations

import time
from collections.abc import Callable

from blackstart.fleet import redisdb, sql
from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Store
from blackstart.probes.base import NoData
from blackstart.probes.gtid import Gtids
from blackstart.probes.replica import Replica, replica, source_position
from blackstart.run.looks import Wrong

BEHIND = 5.0
"""Seconds in which a member must come to where the others were when they were asked."""

_REACH = 4.0
_AGAIN = 0.1


def look(fleet: Fleet, name: str) -> str:
    """What was found. Raises Wrong, and FleetError when a server does not say."""
    store = fleet.stores[name]
    if store.kind == "redis":
        _redis(fleet, name, store)
        return f"all take writes: {', '.join(store.members)}"
    had = {region: _position(fleet, name, store, region) for region in store.members}
    for region in store.members:
        _in_step(fleet, name, store, region, [had[other] for other in had if other != region])
    return f"all take writes, and are in step: {', '.join(store.members)}"


def _position(fleet: Fleet, name: str, store: Store, region: str) -> Gtids:
    with sql.connect(fleet, store, store.members[region], store.reader, _REACH) as session:
        if session.row("SELECT @@GLOBAL.read_only AS value")["value"]:
            raise Wrong(f"store {name} in {region} is read-only, where every member takes writes; make it writable")
        return _known(f"store {name} in {region}", lambda: source_position(session, store.kind))


def _in_step(fleet: Fleet, name: str, store: Store, region: str, others: list[Gtids]) -> None:
    where, ends = f"store {name} in {region}", time.monotonic() + BEHIND
    with sql.connect(fleet, store, store.members[region], store.reader, _REACH) as session:
        while True:
            found = _known(where, lambda: replica(session, store.kind))
            if found is None:
                raise Wrong(f"{where} follows nobody: what the others acknowledge never comes to it")
            if not found.running:
                raise Wrong(f"{where}: {found.said()}: replication is broken already")
            if not any(_lacks(where, found, other) for other in others):
                return
            if time.monotonic() > ends:
                raise Wrong(f"{where} is more than {BEHIND:g} s behind another member; find out why")
            time.sleep(_AGAIN)


def _lacks(where: str, found: Replica, other: Gtids) -> int:
    try:
        return found.applied.lacks(other)
    except ValueError as error:
        raise Wrong(f"{where}: {error}; is its gtid_domain_id its own?") from None


def _known[T](where: str, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except NoData as error:
        raise Wrong(f"{where}: {error}") from None


def _redis(fleet: Fleet, name: str, store: Store) -> None:
    for region, member in store.members.items():
        with redisdb.connect(fleet, store, member, store.reader, _REACH) as client:
            if client.info("replication")["role"] != "master":
                raise Wrong(f"store {name} in {region} is a replica, where every member takes writes")
