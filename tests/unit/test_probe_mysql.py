"""`mysql` probes against a real, replicated MariaDB; what they say while the link is cut or the replica is broken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from loopback import black_hole, free_address
from storekit import PASSWORDS, MariaDb, Pair, fleet_file, mariadb_pair, wait_until

from blackstart.evidence.records import Reading, Reason
from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet
from blackstart.probes import read
from blackstart.probes.base import Scope
from blackstart.probes.mysql import Spec


def spec(measure: str = "lag", **keys: Any) -> Spec:
    return Spec(probe=f"p-{measure}", store="database", measure=measure, **{"deadline": 10.0, "grace": 1.0, **keys})


def look(scope: Scope, measure: str = "lag", **keys: Any) -> Reading:
    (reading,) = asyncio.run(read(spec(measure, **keys), scope))
    return reading


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair[MariaDb]]:
    with mariadb_pair(tmp_path / "m") as found:
        yield found


@pytest.fixture
def scope(pair: Pair[MariaDb], tmp_path: Path) -> Scope:
    return Scope(with_role(fleet_file(tmp_path, orders=pair)))


def with_role(file: Path, **store: Any) -> Fleet:
    """The fleet with role `database`; `store` changes the store's document."""
    document = yaml.safe_load(file.read_text())
    document["roles"]["database"] = "orders"
    document["stores"]["orders"].update(store)
    file.write_text(yaml.safe_dump(document))
    return load_fleet(file)


def write(pair: Pair[MariaDb], count: int = 1) -> None:
    for _ in range(count):
        pair.us.sql("INSERT INTO shop.orders (id) VALUES (UUID())")


def caught_up(pair: Pair[MariaDb]) -> None:
    def look() -> bool:
        here = pair.us.sql("SELECT COUNT(*) AS n FROM shop.orders")
        return pair.eu.sql("SELECT COUNT(*) AS n FROM shop.orders") == here

    wait_until("replication", look)


def test_all_is_well(pair: Pair[MariaDb], scope: Scope) -> None:
    write(pair, 3)
    caught_up(pair)
    for measure in ("lag", "behind", "unreceived", "unapplied"):
        assert (look(scope, measure).key, look(scope, measure).value) == ("eu", 0), measure
    assert look(scope, "running").value == 1
    heard = look(Scope(scope.fleet), "heard")
    assert heard.value is not None
    assert heard.value < 10
    both = asyncio.run(read(spec("writable"), scope))
    assert {reading.key: reading.value for reading in both} == {"us": 1, "eu": 0}


def test_before_the_first_write_nothing_is_missing(scope: Scope) -> None:
    assert [look(scope, measure).value for measure in ("lag", "behind", "unreceived", "unapplied")] == [0] * 4


def test_over_a_cut_link_lag_is_stale_while_the_server_says_zero(pair: Pair[MariaDb], scope: Scope) -> None:
    write(pair)
    caught_up(pair)
    assert look(scope).value == 0
    pair.wire.cut()
    cut = time.monotonic()
    write(pair, 4)
    said = pair.eu.status()
    readings = []
    while (reading := look(scope)).value is not None:
        readings.append(reading.value)
        assert time.monotonic() - cut < 30
        time.sleep(0.1)
    assert all(value > 0 for value in readings), "never 0 with something missing"
    assert all(value <= 1.0 for value in readings), "no longer than grace"
    assert reading.no_data is Reason.STALE
    assert "4 transactions of its source have not come" in reading.detail
    assert said["Seconds_Behind_Master"] == 0, "what a naive probe would have read"
    assert said["Slave_IO_Running"] == "Yes"
    assert look(scope, "unreceived").value == look(scope, "behind").value == 4
    assert look(scope, "unapplied").value == 0
    pair.wire.heal()
    caught_up(pair)
    assert look(scope).value == 0


def test_a_first_look_over_a_cut_link_is_stale(pair: Pair[MariaDb], scope: Scope) -> None:
    pair.wire.cut()
    write(pair, 2)
    reading = look(scope)
    assert (reading.value, reading.no_data) == (None, Reason.STALE)
    assert "since the first look" in reading.detail


def test_running_is_stale_once_heartbeats_stay_away(pair: Pair[MariaDb], scope: Scope) -> None:
    pair.eu.options["slave-net-timeout"] = "60"
    pair.eu.stop()
    pair.eu.start()
    pair.eu.sql("START SLAVE")
    wait_until("running", lambda: look(scope, "running").value == 1)
    assert look(scope, "heard").value is not None
    pair.wire.cut()
    wait_until("no data", lambda: look(scope, "running").value is None)
    reading = look(scope, "running")
    assert reading.no_data is Reason.STALE
    assert "a heartbeat is due every 0.5 s" in reading.detail
    assert pair.eu.status()["Slave_IO_Running"] == "Yes"
    heard = look(scope, "heard")
    assert heard.value is not None
    assert heard.value > 2


def test_a_stopped_applier_is_behind_and_has_no_lag(pair: Pair[MariaDb], scope: Scope) -> None:
    pair.eu.sql("STOP SLAVE SQL_THREAD")
    write(pair, 3)
    wait_until("received", lambda: look(scope, "unreceived").value == 0)
    assert look(scope, "unapplied").value == look(scope, "behind").value == 3
    reading = look(scope)
    assert (reading.value, reading.no_data) == (None, Reason.STALE)
    running = look(scope, "running")
    assert running.value == 0
    assert "applier No" in running.detail


def test_a_held_up_applier_lags_by_what_the_server_says(pair: Pair[MariaDb], scope: Scope) -> None:
    with_delay = "STOP SLAVE; CHANGE MASTER TO master_delay=60; START SLAVE"
    for statement in with_delay.split(";"):
        pair.eu.sql(statement)
    write(pair, 2)

    def lag() -> bool:
        found = look(scope).value
        return found is not None and found >= 2

    wait_until("lag", lag)
    assert look(scope, "unapplied").value == 2


def test_a_broken_replication_says_why(pair: Pair[MariaDb], scope: Scope) -> None:
    pair.eu.sql("DROP TABLE shop.orders")
    write(pair)
    wait_until("the error", lambda: look(scope, "running").value == 0)
    assert "applier No: 1950: " in look(scope, "running").detail


def test_a_dead_source_leaves_lag_unknown_but_not_what_came(pair: Pair[MariaDb], scope: Scope) -> None:
    pair.us.kill()
    for measure in ("lag", "behind", "unreceived"):
        reading = look(scope, measure)
        assert reading.no_data is Reason.STALE, measure
        assert "its source us does not answer" in reading.detail
    assert look(scope, "unapplied").value == 0


def test_a_silent_source_is_stale_within_the_deadline(pair: Pair[MariaDb], tmp_path: Path) -> None:
    with black_hole() as address:
        members = {**pair.document["members"], "us": {**pair.document["members"]["us"], "address": address}}
        scope = Scope(with_role(fleet_file(tmp_path, orders=pair), members=members))
        reading = look(scope, "behind", deadline=2.0)
    assert reading.no_data is Reason.STALE
    assert "timed out" in reading.detail


def test_a_dead_replica_is_refused(pair: Pair[MariaDb], scope: Scope) -> None:
    pair.eu.kill()
    for measure in ("lag", "running", "writable"):
        assert look(scope, measure, regions=["standby"]).no_data is Reason.REFUSED


def test_after_a_promotion_it_follows_nobody(pair: Pair[MariaDb], scope: Scope) -> None:
    for statement in ("STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only=0"):
        pair.eu.sql(statement)
    assert look(scope).no_data is Reason.EMPTY
    assert look(scope, "running").value == 0
    assert look(scope, "writable", regions=["standby"]).value == 1


def test_two_that_have_parted_are_no_number(pair: Pair[MariaDb], scope: Scope) -> None:
    write(pair, 2)
    caught_up(pair)
    pair.eu.sql("STOP SLAVE")
    pair.eu.sql("INSERT INTO shop.orders (id) VALUES ('by mistake')")
    reading = look(scope, "behind")
    assert (reading.value, reading.no_data) == (None, Reason.MALFORMED)
    assert "parted: 0-2-3 here, 0-1-2 at the source" in reading.detail


def test_who_it_follows_must_be_known(pair: Pair[MariaDb], scope: Scope) -> None:
    elsewhere = free_address()
    host, _, port = elsewhere.rpartition(":")
    pair.eu.sql("STOP SLAVE")
    pair.eu.sql(f"CHANGE MASTER TO master_host='{host}', master_port={port}")
    assert elsewhere in look(scope).detail
    assert look(scope).no_data is Reason.MALFORMED


def test_a_source_without_a_log_is_no_source(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path / "m") as pair:
        del pair.us.options["log-bin"]
        pair.us.stop()
        pair.us.start()
        reading = look(Scope(with_role(fleet_file(tmp_path, orders=pair))), "behind")
    assert reading.no_data is Reason.MALFORMED
    assert "no binary log" in reading.detail


def test_semi_sync_that_fell_back_is_not_on_again_at_once(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path / "m", semisync=200) as pair:
        scope = Scope(with_role(fleet_file(tmp_path, orders=pair)))
        write(pair)
        assert (look(scope, "semisync").key, look(scope, "semisync").value) == ("us", 1)
        pair.wire.cut()
        write(pair)
        reading = look(scope, "semisync")
        assert reading.value == 0
        assert "1 writes were acknowledged without a replica" in reading.detail
        assert look(scope, "semisync").value == 0
        pair.wire.heal()
        wait_until("semi-sync", lambda: look(scope, "semisync").value == 1)


def test_a_short_fall_back_between_two_looks_is_seen(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path / "m", semisync=200) as pair:
        scope = Scope(with_role(fleet_file(tmp_path, orders=pair)))
        write(pair)
        look(scope, "semisync")
        pair.wire.cut()
        write(pair)
        pair.wire.heal()
        on = "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_status'"
        wait_until("semi-sync", lambda: pair.us.sql(on)[0]["Value"] == "ON")
        assert look(scope, "semisync").value == 0
        assert look(scope, "semisync").value == 1


def test_without_semi_sync_nothing_is_promised(pair: Pair[MariaDb], scope: Scope) -> None:
    assert look(scope, "semisync").value == 0


def test_the_grants_of_the_manual_are_enough(pair: Pair[MariaDb], tmp_path: Path) -> None:
    for server in (pair.us, pair.eu):
        server.sql("SET GLOBAL read_only=0")
        server.sql(f"CREATE OR REPLACE USER probe@'%' IDENTIFIED BY '{PASSWORDS['app']}'")
        server.sql("GRANT REPLICA MONITOR ON *.* TO probe@'%'")
    (tmp_path / "pw").write_text(PASSWORDS["app"])
    login = {"user": "probe", "password": f"${{file:{tmp_path}/pw}}"}
    scope = Scope(with_role(fleet_file(tmp_path, orders=pair), reader=login))
    for measure in ("running", "writable", "semisync", "unapplied"):
        assert look(scope, measure, regions=["standby"]).value is not None, measure


def test_an_unknown_user_is_unauthorised(pair: Pair[MariaDb], tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("wr0ng-Pw")
    login = {"user": "nobody", "password": f"${{file:{tmp_path}/pw}}"}
    reading = look(Scope(with_role(fleet_file(tmp_path, orders=pair), reader=login)))
    assert reading.no_data is Reason.UNAUTHORISED
    assert "wr0ng" not in reading.detail
    missing = {"user": "nobody", "password": "${env:NO_SUCH_PASSWORD}"}
    reading = look(Scope(with_role(fleet_file(tmp_path, orders=pair), reader=missing)))
    assert reading.no_data is Reason.UNAUTHORISED


def test_what_does_not_fit_the_fleet_is_malformed(pair: Pair[MariaDb], scope: Scope) -> None:
    for store, said in (("nothing", "no role"), ("frontend", "is not a store")):
        found = Spec(probe="p", store=store)
        (reading,) = asyncio.run(read(found, scope))
        assert reading.no_data is Reason.MALFORMED
        assert said in reading.detail
    assert look(scope, regions=["frontend"]).no_data is Reason.MALFORMED
