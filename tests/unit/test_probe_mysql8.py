"""`mysql` probes in the dialect of MySQL 8.

No MySQL server can be had where these tests run, so a fake answers with the
columns and values that the manual of MySQL 8.4 shows (SHOW REPLICA STATUS,
performance_schema.replication_connection_*, Rpl_semi_sync_source_*).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from loopback import fleet

from blackstart.evidence.records import Reading, Reason
from blackstart.fleet.sql import SqlError
from blackstart.fleet.stores import Login, Member, Store
from blackstart.probes import mysql, read
from blackstart.probes.base import Scope

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
STATUS: dict[str, Any] = {
    "Replica_IO_State": "Waiting for source to send event",
    "Source_Host": "10.0.0.1",
    "Source_User": "repl",
    "Source_Port": 3306,
    "Connect_Retry": 1,
    "Source_Log_File": "master-bin.000001",
    "Read_Source_Log_Pos": 927,
    "Relay_Log_File": "replica-relay-bin.000002",
    "Relay_Log_Pos": 1145,
    "Relay_Source_Log_File": "master-bin.000001",
    "Replica_IO_Running": "Yes",
    "Replica_SQL_Running": "Yes",
    "Last_Errno": 0,
    "Last_Error": "",
    "Exec_Source_Log_Pos": 927,
    "Relay_Log_Space": 1355,
    "Seconds_Behind_Source": 0,
    "Last_IO_Errno": 0,
    "Last_IO_Error": "",
    "Last_SQL_Errno": 0,
    "Last_SQL_Error": "",
    "Source_Server_Id": 1,
    "Source_UUID": UUID,
    "SQL_Delay": 0,
    "SQL_Remaining_Delay": None,
    "Replica_SQL_Running_State": "Replica has read all relay log; waiting for more updates",
    "Retrieved_Gtid_Set": f"{UUID}:1-5",
    "Executed_Gtid_Set": f"{UUID}:1-5",
    "Auto_Position": 1,
    "Channel_Name": "",
}


@dataclass
class Fake:
    """One server; `position` is its gtid_executed."""

    position: str = f"{UUID}:1-5"
    mode: str = "ON"
    read_only: int = 0
    replica: list[dict[str, Any]] = field(default_factory=list)
    heard: dict[str, Any] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)

    def rows(self, statement: str, arguments: Any = None) -> list[dict[str, Any]]:
        if statement == "SHOW REPLICA STATUS":
            return self.replica
        if "replication_connection_status" in statement:
            assert arguments == [""], "by channel"
            return [self.heard] if self.heard else []
        if "gtid_executed" in statement:
            return [{"position": self.position, "mode": self.mode, "log": 1}]
        if "read_only" in statement:
            return [{"value": self.read_only}]
        if statement.startswith("SHOW GLOBAL STATUS"):
            return [{"Variable_name": name, "Value": value} for name, value in self.status.items()]
        raise SqlError(f"You have an error in your SQL syntax near '{statement}'", 1064, "malformed")

    def row(self, statement: str, arguments: Any = None) -> dict[str, Any]:
        return next(iter(self.rows(statement, arguments)), {})


@pytest.fixture
def us() -> Fake:
    semi = {"clients": "1", "no_tx": "0", "status": "ON", "yes_tx": "5"}
    return Fake(status={f"Rpl_semi_sync_source_{name}": value for name, value in semi.items()})


@pytest.fixture
def eu() -> Fake:
    heard = {
        "heartbeats": 12,
        "period": Decimal("1.000"),
        "heartbeat_age": Decimal("0.4000"),
        "queued_age": Decimal("9.1"),
    }
    return Fake(replica=[dict(STATUS)], heard=heard, read_only=1)


@pytest.fixture
def scope(us: Fake, eu: Fake, monkeypatch: pytest.MonkeyPatch) -> Scope:
    servers = {"10.0.0.1:3306": us, "10.0.0.2:3306": eu}

    @contextmanager
    def connect(_: Any, __: Store, member: Member, login: Login, deadline: float) -> Iterator[Any]:
        assert login.user == "reader"
        yield servers[member.address]

    monkeypatch.setattr(mysql, "connect", connect)
    members = {
        "us": {"address": "10.0.0.1:3306", "place": "here"},
        "eu": {"address": "10.0.0.2:3306", "place": "here"},
    }
    orders = {"kind": "mysql", "members": members, "primary": "us", "reader": {"user": "reader"}}
    return Scope(fleet(stores={"orders": orders}))


def look(scope: Scope, measure: str) -> Reading:
    spec = mysql.Spec(probe=f"p-{measure}", store="orders", measure=measure, grace=0.2)  # type: ignore[arg-type]
    (reading,) = asyncio.run(read(spec, scope))
    return reading


def test_all_is_well(scope: Scope) -> None:
    for measure, value in (("lag", 0), ("behind", 0), ("unreceived", 0), ("unapplied", 0), ("running", 1)):
        assert look(scope, measure).value == value, measure
    assert look(scope, "heard").value == pytest.approx(0.4)
    assert look(scope, "semisync").value == 1


def test_zero_seconds_behind_a_receiver_that_is_behind_is_stale(scope: Scope, us: Fake) -> None:
    us.position = f"{UUID}:1-9"
    reading = look(scope, "lag")
    assert (reading.value, reading.no_data) == (None, Reason.STALE)
    assert "the server says 0.0 s, but 4 transactions" in reading.detail
    assert look(scope, "unreceived").value == 4


def test_what_came_and_is_not_applied(scope: Scope, us: Fake, eu: Fake) -> None:
    us.position = f"{UUID}:1-9"
    eu.replica[0] |= {"Retrieved_Gtid_Set": f"{UUID}:1-7", "Seconds_Behind_Source": 3}
    assert [look(scope, m).value for m in ("behind", "unreceived", "unapplied")] == [4, 2, 2]


def test_what_the_replica_wrote_itself_hides_nothing(scope: Scope, us: Fake, eu: Fake) -> None:
    us.position = f"{UUID}:1-9"
    eu.position = f"{UUID}:1-5,4e11fa47-71ca-11e1-9e33-c80aa9429562:1-100"
    assert look(scope, "behind").value == 4


def test_threads_that_run_in_silence_are_stale(scope: Scope, eu: Fake) -> None:
    eu.heard |= {"heartbeat_age": Decimal(7), "queued_age": Decimal(9)}
    reading = look(scope, "running")
    assert reading.no_data is Reason.STALE
    assert "nothing has come for 7.0 s" in reading.detail
    assert look(scope, "heard").value == 7


def test_threads_that_do_not_run(scope: Scope, eu: Fake) -> None:
    error = {"Last_IO_Errno": 2003, "Last_IO_Error": "error reconnecting to source"}
    eu.replica[0] |= {"Replica_IO_Running": "Connecting", "Seconds_Behind_Source": None, **error}
    reading = look(scope, "running")
    assert reading.value == 0
    assert "receiver Connecting, applier Yes: 2003: error reconnecting" in reading.detail
    assert look(scope, "lag").no_data is Reason.STALE


def test_without_gtids_there_is_no_comparison(scope: Scope, us: Fake) -> None:
    us.mode, us.position = "OFF", ""
    reading = look(scope, "behind")
    assert reading.no_data is Reason.MALFORMED
    assert "gtid_mode is OFF" in reading.detail


def test_several_channels_are_not_guessed_at(scope: Scope, eu: Fake) -> None:
    eu.replica.append({**STATUS, "Channel_Name": "other"})
    assert look(scope, "lag").no_data is Reason.MALFORMED


def test_writable_and_the_older_plugin(scope: Scope, us: Fake) -> None:
    spec = mysql.Spec(probe="w", store="orders", measure="writable")
    readings = asyncio.run(read(spec, scope))
    assert {reading.key: reading.value for reading in readings} == {"us": 1, "eu": 0}
    us.status = {name.replace("source", "master"): value for name, value in us.status.items()}
    assert look(scope, "semisync").value == 1
    us.status["Rpl_semi_sync_master_no_tx"] = "2"
    assert look(scope, "semisync").value == 0
    us.status["Rpl_semi_sync_master_status"] = "OFF"
    assert look(scope, "semisync").value == 0
