"""What MariaDB and MySQL say of their replication, in one form: each dialect's statements and columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blackstart.evidence.records import Reason
from blackstart.fleet.sql import Sql
from blackstart.probes.base import NoData
from blackstart.probes.gtid import Gtids, MariaDbPosition, MySqlSet

# The server's own clock on both sides; 0 stands for never.
_MYSQL_HEARD = """
SELECT s.COUNT_RECEIVED_HEARTBEATS AS heartbeats, c.HEARTBEAT_INTERVAL AS period,
  TIMESTAMPDIFF(MICROSECOND, s.LAST_HEARTBEAT_TIMESTAMP, NOW(6)) / 1e6 AS heartbeat_age,
  TIMESTAMPDIFF(MICROSECOND, s.LAST_QUEUED_TRANSACTION_END_QUEUE_TIMESTAMP, NOW(6)) / 1e6 AS queued_age
FROM performance_schema.replication_connection_status s
JOIN performance_schema.replication_connection_configuration c USING (CHANNEL_NAME) WHERE CHANNEL_NAME = %s"""


@dataclass(frozen=True)
class Replica:
    """A server that follows another one.

    `mark` changes whenever something comes from the source, events or
    heartbeats, which are due every `period` seconds (0: never); `heard` is
    how many seconds ago that was, where the server itself says it.
    """

    source: str
    channel: str
    receiver: str
    applier: str
    errors: str
    seconds_behind: float | None
    received: Gtids
    applied: Gtids
    mark: tuple[object, ...]
    period: float
    heard: float | None = None

    @property
    def running(self) -> bool:
        """Whether both threads say so."""
        return self.receiver == self.applier == "Yes"

    def said(self) -> str:
        """The two threads, in their own words."""
        return f"receiver {self.receiver}, applier {self.applier}" + (f": {self.errors}" if self.errors else "")


def source_position(session: Sql, kind: str) -> Gtids:
    """Everything that the server has written into its log for others. Raises SqlError, NoData."""
    if kind == "mysql":
        found = session.row("SELECT @@GLOBAL.gtid_executed AS position, @@GLOBAL.gtid_mode AS mode, @@log_bin AS log")
        if found["mode"] != "ON":
            raise NoData(Reason.MALFORMED, f"gtid_mode is {found['mode']}: positions cannot be compared")
    else:
        found = session.row("SELECT @@GLOBAL.gtid_binlog_pos AS position, @@log_bin AS log")
    if not found["log"]:
        raise NoData(Reason.MALFORMED, "it has no binary log: nobody can follow it")
    return _gtids(kind, found["position"])


def replica(session: Sql, kind: str) -> Replica | None:
    """The server's replication; None when none is set up. Raises SqlError, NoData."""
    rows = session.rows("SHOW REPLICA STATUS" if kind == "mysql" else "SHOW ALL SLAVES STATUS")
    if len(rows) > 1:
        raise NoData(Reason.MALFORMED, f"it follows {len(rows)} sources; one is supported")
    if not rows:
        return None
    return _mysql(session, rows[0]) if kind == "mysql" else _mariadb(session, rows[0])


def _mariadb(session: Sql, row: dict[str, Any]) -> Replica:
    # With what the server wrote itself, where it was the source before.
    applied = _gtids("mariadb", session.row("SELECT @@GLOBAL.gtid_current_pos AS position")["position"])
    received = _gtids("mariadb", row["Gtid_IO_Pos"] or "").plus(applied)
    heartbeats = row["Slave_received_heartbeats"]
    mark = (row["Master_Log_File"], row["Read_Master_Log_Pos"], row["Gtid_IO_Pos"], heartbeats)
    return Replica(
        source=f"{row['Master_Host']}:{row['Master_Port']}",
        channel=row["Connection_name"],
        receiver=row["Slave_IO_Running"],
        applier=row["Slave_SQL_Running"],
        errors=_errors(row),
        seconds_behind=_seconds(row["Seconds_Behind_Master"]),
        received=received,
        applied=applied,
        mark=mark,
        period=float(row["Slave_heartbeat_period"] or 0),
    )


def _mysql(session: Sql, row: dict[str, Any]) -> Replica:
    applied = _gtids("mysql", session.row("SELECT @@GLOBAL.gtid_executed AS position")["position"])
    heard = session.row(_MYSQL_HEARD, [row["Channel_Name"]])
    ages = [
        age for age in (_seconds(heard.get("heartbeat_age")), _seconds(heard.get("queued_age"))) if age is not None
    ]
    mark = (row["Source_Log_File"], row["Read_Source_Log_Pos"], row["Retrieved_Gtid_Set"], heard.get("heartbeats"))
    return Replica(
        source=f"{row['Source_Host']}:{row['Source_Port']}",
        channel=row["Channel_Name"],
        receiver=row["Replica_IO_Running"],
        applier=row["Replica_SQL_Running"],
        errors=_errors(row),
        seconds_behind=_seconds(row["Seconds_Behind_Source"]),
        received=_gtids("mysql", row["Retrieved_Gtid_Set"] or "").plus(applied),
        applied=applied,
        mark=mark,
        period=float(heard.get("period") or 0),
        heard=max(min(ages), 0.0) if ages else None,
    )


def _errors(row: dict[str, Any]) -> str:
    found = [(row[f"Last_{thread}_Errno"], row[f"Last_{thread}_Error"]) for thread in ("IO", "SQL")]
    return "; ".join(f"{number}: {text}" for number, text in found if number)


def _seconds(value: object) -> float | None:
    return None if value is None else float(str(value))


def _gtids(kind: str, text: str) -> Gtids:
    try:
        return MySqlSet.parse(text) if kind == "mysql" else MariaDbPosition.parse(text)
    except ValueError as error:
        raise NoData(Reason.MALFORMED, f"{text[:80]!r} is no position: {error}") from None
