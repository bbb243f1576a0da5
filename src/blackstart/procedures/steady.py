"""Whether a store is as fleet.yaml says: the primary at home and writable, every other server in step with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blackstart.fleet import redisdb, sql
from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Login, Store
from blackstart.procedures.base import Deadline, Late

BEHIND = 5.0
"""Seconds in which a replica must come to where its primary was when it was asked."""

_REACH = 4.0


class Unsteady(Exception):  # noqa: N818 - a state of the world, not a mistake
    """What is not as it must be, and the next step."""


def look(fleet: Fleet, name: str) -> str:
    """What was found. Raises Unsteady, and FleetError when a server does not say."""
    store = fleet.stores[name]
    if store.kind == "redis":
        _redis(fleet, name, store)
    else:
        _sql(fleet, name, store)
    others = [region for region in store.members if region != store.primary]
    return f"primary in {store.primary}, in step: {', '.join(others) or 'nobody else'}"


def _login(store: Store) -> Login:
    return store.reader if store.reader.user or store.admin is None else store.admin


def _sql(fleet: Fleet, name: str, store: Store) -> None:
    with sql.connect(fleet, store, store.members[store.primary], _login(store), _REACH) as session:
        where = f"store {name} in {store.primary}"
        if _replica(session, store):
            raise Unsteady(f"{where} should be the primary, but follows another; switch back, or correct `primary`")
        if _one(session, "@@read_only") != "0":
            raise Unsteady(f"{where} should be the primary, but is read-only; make it writable, or correct `primary`")
        _semi_sync(session, where)
        position = _one(session, "@@gtid_binlog_pos" if store.kind == "mariadb" else "@@gtid_executed")
        server = _one(session, "@@server_id")
    for region in store.members:
        if region != store.primary:
            _sql_replica(fleet, store, region, f"store {name} in {region}", (server, position))


def _sql_replica(fleet: Fleet, store: Store, region: str, where: str, primary: tuple[str, str]) -> None:
    server, position = primary
    with sql.connect(fleet, store, store.members[region], _login(store), _REACH + BEHIND) as session:
        found = _replica(session, store)
        if not found:
            raise Unsteady(f"{where} follows nobody: replication is broken already; let it rejoin")
        for thread in ("IO", "SQL"):
            if (state := found[f"{thread}_Running"]) != "Yes":
                why = found[f"Last_{thread}_Error"] or "no error is told"
                raise Unsteady(f"{where}: its {thread} thread is {state!r} ({why}): replication is broken already")
        if str(found["Server_Id"]) != server:
            raise Unsteady(f"{where} follows server {found['Server_Id']}, and the primary is server {server}")
        if _one(session, "@@read_only") != "1":
            raise Unsteady(f"{where} is a replica and writable: a client that goes there splits the data; fence it")
        wait = "MASTER_GTID_WAIT" if store.kind == "mariadb" else "WAIT_FOR_EXECUTED_GTID_SET"
        if position and str(next(iter(session.row(f"SELECT {wait}(%s, %s)", [position, BEHIND]).values()))) != "0":
            raise Unsteady(f"{where} is more than {BEHIND:g} s behind its primary; find out why")


def _replica(session: sql.Sql, store: Store) -> Mapping[str, Any]:
    """SHOW REPLICA STATUS without the words that differ; empty where it follows nobody."""
    found = session.row("SHOW SLAVE STATUS" if store.kind == "mariadb" else "SHOW REPLICA STATUS")
    prefixes = ("Slave_", "Replica_", "Master_", "Source_")
    return {next((k.removeprefix(p) for p in prefixes if k.startswith(p)), k): v for k, v in found.items()}


def _semi_sync(session: sql.Sql, where: str) -> None:
    """Enabled, but fallen back: what is acknowledged now may be lost."""
    wanted = session.row("SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync_master_enabled'").get("Value")
    if wanted == "ON":
        found = session.row("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_status'").get("Value")
        if found != "ON":
            raise Unsteady(f"{where}: semi-synchronous replication is enabled, but {found}: it has fallen back")


def _one(session: sql.Sql, expression: str) -> str:
    return str(next(iter(session.row(f"SELECT {expression}").values())))


def _redis(fleet: Fleet, name: str, store: Store) -> None:
    primary = _info(fleet, store, store.primary)
    if primary["role"] != "master":
        raise Unsteady(
            f"store {name} in {store.primary} should be the primary, but follows another; switch back, or correct "
            "`primary`"
        )
    for region in store.members:
        if region != store.primary:
            _redis_replica(fleet, store, region, f"store {name} in {region}", primary)


def _redis_replica(fleet: Fleet, store: Store, region: str, where: str, primary: Mapping[str, Any]) -> None:
    if _info(fleet, store, region)["role"] != "slave":
        raise Unsteady(f"{where} follows nobody: replication is broken already; let it rejoin")

    def in_step() -> bool | None:
        found = _info(fleet, store, region)
        if found["master_link_status"] != "up" or found.get("master_sync_in_progress"):
            return None
        if found["master_replid"] != primary["master_replid"]:
            raise Unsteady(f"{where} follows another primary than that of {store.primary}")
        return True if int(found["slave_repl_offset"]) >= int(primary["master_repl_offset"]) else None

    try:
        Deadline(BEHIND).until(lambda: where, in_step)
    except Late:
        raise Unsteady(f"{where} is not connected, or more than {BEHIND:g} s behind; find out why") from None


def _info(fleet: Fleet, store: Store, region: str) -> Mapping[str, Any]:
    with redisdb.connect(fleet, store, store.members[region], _login(store), _REACH) as client:
        found: dict[str, Any] = client.info("replication")
        return found
