"""Reads the configuration of a fleet's stores from their servers: SHOW GLOBAL VARIABLES, CONFIG GET."""

from __future__ import annotations

from typing import Any

from blackstart.fleet import redisdb, sql
from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Member, Store
from blackstart.plan.data.check import Source
from blackstart.plan.data.model import DataConfig, Dialect, Said, Server, Setting, Statement
from blackstart.schema.errors import BlackstartError, ContentError, Finding, Place

_DEADLINE = 5.0
_REDIS = ("appendonly", "replica-read-only", "min-replicas-to-write", "min-replicas-max-lag")
_FILTERS = ("Binlog_Do_DB", "Binlog_Ignore_DB")


def read_fleet(fleet: Fleet, said: Said) -> Source:
    """Every member of every store. Raises ContentError when one does not answer: silence is no proof."""
    servers: list[Server] = []
    statements: list[Statement] = []
    problems: list[Finding] = []
    for name, store in fleet.stores.items():
        for region, member in store.members.items():
            place = Place(f"{fleet.source or fleet.fleet}: stores.{name}.members.{region}")
            try:
                server, found = _read(fleet, store, member, f"{name}/{region}", place)
            except BlackstartError as error:
                problems.append(Finding(place, (), f"cannot be read: {error}"))
                continue
            servers.append(server)
            statements += found
    if problems:
        raise ContentError(problems)
    if not servers:
        place = Place(str(fleet.source or fleet.fleet))
        raise ContentError([Finding(place, (), "has no `stores`: there is nothing to check", "describe them")])
    return Source(DataConfig(tuple(servers), tuple(statements), said=said), f"{len(servers)} servers")


def _read(fleet: Fleet, store: Store, member: Member, name: str, place: Place) -> tuple[Server, list[Statement]]:
    if store.kind == "redis":
        return _redis(fleet, store, member, name, place), []
    with sql.connect(fleet, store, member, store.reader, _DEADLINE) as session:
        variables = {row["Variable_name"].lower(): str(row["Value"]) for row in session.rows("SHOW GLOBAL VARIABLES")}
        follows = session.rows("SHOW REPLICA STATUS" if store.kind == "mysql" else "SHOW ALL SLAVES STATUS")
        variables |= {key.lower(): str(value) for key, value in _log_filters(session, store.kind).items() if value}
    settings = {key: (Setting(value, place),) for key, value in variables.items()}
    dialect: Dialect = "mysql" if store.kind == "mysql" else "mariadb"
    active = name.partition("/")[0] if store.multi_active else None
    server = Server(name, place, dialect, settings, live=True, replica=bool(follows), active=active)
    return server, [Statement("change", _words(row), place) for row in follows]


def _log_filters(session: sql.Sql, kind: str) -> dict[str, Any]:
    """What the source leaves out of its log; MariaDB has no variable for it."""
    statements = ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"] if kind == "mysql" else ["SHOW MASTER STATUS"]
    for last, statement in zip([False, True][-len(statements) :], statements, strict=True):
        try:
            row = session.row(statement)
            return {key: row.get(key, "") for key in _FILTERS}
        except sql.SqlError as error:
            # MySQL before 8.2 does not know the first one, MySQL 8.4 not the second.
            if last or error.code != 1064:
                raise
    return {}


def _words(row: dict[str, Any]) -> str:
    """How it follows, as a statement would say it."""
    if row.get("Auto_Position"):
        return "SOURCE_AUTO_POSITION=1"
    return {"Slave_Pos": "MASTER_USE_GTID=slave_pos", "Current_Pos": "MASTER_USE_GTID=current_pos"}.get(
        str(row.get("Using_Gtid")), "by file and position"
    )


def _redis(fleet: Fleet, store: Store, member: Member, name: str, place: Place) -> Server:
    with redisdb.connect(fleet, store, member, store.reader, _DEADLINE) as client:
        found = {str(key): str(value) for one in _REDIS for key, value in client.config_get(one).items()}
        replica = client.info("replication")["role"] == "slave"
    settings = {key.replace("-", "_"): (Setting(value, place),) for key, value in found.items()}
    return Server(name, place, "redis", settings, live=True, replica=replica)
