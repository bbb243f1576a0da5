"""`stop-replication` on real servers: it bites, comes back exactly, and loses nothing on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stepkit import do
from storefaultkit import RUN, Stores, stores
from storekit import PASSWORDS, wait_until

from blackstart.evidence.promotions import Promotions
from blackstart.evidence.records import FaultState
from blackstart.faults.base import FaultError
from blackstart.faults.inject import Ineffective, inject, restore, still_there
from blackstart.faults.stop_replication import FAULT
from blackstart.procedures.base import Work

ORDERS: dict[str, Any] = {"store": "orders", "region": "standby"}
CACHE: dict[str, Any] = {"store": "cache", "region": "standby"}
DONE = [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
BACK = [FaultState.REVERTED, FaultState.CONFIRMED_REVERTED]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stores]:
    with stores(tmp_path, "mariadb") as found:
        yield found


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[Stores]:
    with stores(tmp_path, "redis") as found:
        yield found


def rows(here: Stores) -> int:
    count: int = here.orders.eu.sql("SELECT COUNT(*) AS n FROM shop.orders")[0]["n"]
    return count


@pytest.mark.parametrize(
    ("thread", "column", "other"),
    [
        ("receiver", "Slave_IO_Running", "Slave_SQL_Running"),
        ("applier", "Slave_SQL_Running", "Slave_IO_Running"),
    ],
)
def test_one_thread_stops_and_comes_back(here: Stores, thread: str, column: str, other: str) -> None:
    inject(FAULT, here.fleet, {**ORDERS, "thread": thread}, here.context())
    assert here.states() == DONE
    status = here.orders.eu.status()
    assert (status[column], status[other]) == ("No", "Yes")
    here.orders.us.insert("w1-1")
    assert rows(here) == 0
    (change,) = FAULT.changes(here.fleet, here.entry().undo)
    assert str(change).startswith(f"orders/eu: {thread}: stopped -> follows 127.0.0.1:")
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    wait_until("the row", lambda: rows(here) == 1)
    assert here.store.read(RUN).outstanding == []
    assert here.states() == [*DONE, *BACK]


def test_what_came_before_the_stop_is_not_thrown_away(here: Stores) -> None:
    """The pitfall: to start a thread when both are stopped discards the relay log."""
    eu = here.orders.eu
    inject(FAULT, here.fleet, {**ORDERS, "thread": "applier"}, here.context())
    here.orders.us.insert(*(f"w1-{n}" for n in range(20)))
    wait_until("received", lambda: eu.status()["Gtid_IO_Pos"] == "0-1-20")
    here.orders.us.kill()
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    wait_until("applied", lambda: rows(here) == 20)


def test_with_the_other_thread_stopped_as_well_it_is_a_conflict_and_keeps_the_relay_log(here: Stores) -> None:
    eu = here.orders.eu
    inject(FAULT, here.fleet, {**ORDERS, "thread": "applier"}, here.context())
    here.orders.us.insert("w1-1", "w1-2")
    wait_until("received", lambda: eu.status()["Gtid_IO_Pos"] == "0-1-2")
    eu.sql("STOP SLAVE IO_THREAD")
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFLICT
    assert "throws the relay log away, with 2 transactions" in here.said()
    assert eu.status()["Gtid_IO_Pos"] == "0-1-2"
    assert {eu.status()[key] for key in ("Slave_IO_Running", "Slave_SQL_Running")} == {"No"}


def test_with_both_stopped_and_nothing_to_lose_only_ours_is_started(here: Stores) -> None:
    inject(FAULT, here.fleet, ORDERS, here.context())
    here.orders.eu.sql("STOP SLAVE SQL_THREAD")
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    status = here.orders.eu.status()
    assert (status["Slave_IO_Running"], status["Slave_SQL_Running"]) == ("Yes", "No")


@pytest.mark.parametrize("stopped", ["STOP SLAVE", "STOP SLAVE IO_THREAD", "STOP SLAVE SQL_THREAD"])
def test_what_is_stopped_already_is_refused_and_never_started(here: Stores, stopped: str) -> None:
    here.orders.eu.sql(stopped)
    before = here.orders.eu.status()
    with pytest.raises(FaultError, match="replication is broken already"):
        inject(FAULT, here.fleet, ORDERS, here.context())
    after = here.orders.eu.status()
    assert here.store.read(RUN).outstanding == []
    for key in ("Slave_IO_Running", "Slave_SQL_Running"):
        assert before[key] == after[key]


def test_it_is_not_the_primary_that_replicates(here: Stores) -> None:
    with pytest.raises(FaultError, match="it follows nobody"):
        inject(FAULT, here.fleet, {"store": "orders", "region": "primary"}, here.context())


@pytest.mark.parametrize("sql", ["RESET SLAVE ALL", "CHANGE MASTER TO master_host='127.0.0.9'"])
def test_what_was_re_pointed_or_half_promoted_since_is_a_conflict(here: Stores, sql: str) -> None:
    inject(FAULT, here.fleet, ORDERS, here.context())
    here.orders.eu.sql("STOP SLAVE")
    here.orders.eu.sql(sql)
    before = here.orders.eu.status()
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFLICT
    assert "someone changed that since, so it is left alone" in here.said()
    after = here.orders.eu.status()
    assert before.get("Slave_IO_Running") == after.get("Slave_IO_Running")
    assert before.get("Master_Host") == after.get("Master_Host")


def test_a_conflict_that_is_over_is_put_back_by_the_next_recovery(here: Stores) -> None:
    """Somebody promoted it by half; then it was finished, and the run can be recovered."""
    inject(FAULT, here.fleet, ORDERS, here.context())
    here.orders.eu.sql("STOP SLAVE")
    here.orders.eu.sql("RESET SLAVE ALL")
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFLICT
    here.orders.eu.sql("SET GLOBAL read_only=0")
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert here.store.read(RUN).outstanding == []


def test_promoted_meanwhile_it_stays_the_primary_and_the_fault_is_over(here: Stores) -> None:
    """By the step of a drill, with what the fault held back; the undo comes after it, and changes nothing."""
    inject(FAULT, here.fleet, {**ORDERS, "thread": "applier"}, here.context())
    here.orders.us.sql("INSERT INTO shop.orders (id) VALUES ('1')")
    position = here.orders.us.sql("SELECT @@gtid_binlog_pos AS p")[0]["p"]
    wait_until("received", lambda: here.orders.eu.status()["Gtid_IO_Pos"] == position)
    here.orders.us.kill()
    work = Work(here.fleet, RUN, here.folder, Promotions(here.folder / "state"))
    do(work, promote={"store": "orders", "to": "eu"})
    assert FAULT.changes(here.fleet, here.entry().undo) == []
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert "it was promoted meanwhile" in here.said()
    assert here.orders.eu.status() == {}
    here.orders.eu.sql("INSERT INTO shop.orders (id) VALUES ('2')")
    assert rows(here) == 2


def test_reverted_twice_and_never_applied_change_nothing(here: Stores) -> None:
    inject(FAULT, here.fleet, ORDERS, here.context())
    entry = here.entry()
    restore(entry, here.fleet, here.context())
    FAULT.revert(here.fleet, entry.undo)
    assert FAULT.changes(here.fleet, entry.undo) == []
    assert here.orders.eu.status()["Slave_IO_Running"] == "Yes"


def test_one_that_somebody_started_meanwhile_proved_nothing(here: Stores) -> None:
    inject(FAULT, here.fleet, ORDERS, here.context())
    here.orders.eu.sql("START SLAVE IO_THREAD")
    still_there([here.entry()], here.fleet, here.context())
    assert here.states()[-1] is FaultState.INEFFECTIVE


def test_a_stop_that_does_not_stop_is_ineffective(here: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(FAULT), "_set", lambda *args, **kwargs: None)
    with pytest.raises(Ineffective, match="not stopped"):
        inject(FAULT, here.fleet, ORDERS, here.context())


def test_a_server_that_is_down_during_the_undo_is_waited_for(here: Stores) -> None:
    inject(FAULT, here.fleet, ORDERS, here.context())
    here.orders.eu.kill()
    with pytest.raises(Exception, match="mariadb 127"):
        FAULT.revert(here.fleet, here.entry().undo)
    here.orders.eu.start()
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED


def test_the_grants_of_the_manual_are_enough(here: Stores, tmp_path: Path) -> None:
    eu = here.orders.eu
    eu.sql("SET GLOBAL gtid_strict_mode=0")
    eu.sql(f"CREATE USER few@'%' IDENTIFIED BY '{PASSWORDS['app']}'")
    eu.sql("GRANT REPLICATION SLAVE ADMIN, REPLICA MONITOR ON *.* TO few@'%'")
    (tmp_path / "few").write_text(PASSWORDS["app"])
    here.change("orders", admin={"user": "few", "password": f"${{file:{tmp_path}/few}}"})
    inject(FAULT, here.fleet, ORDERS, here.context())
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED


def test_no_password_is_in_the_undo_store_or_the_events(here: Stores) -> None:
    inject(FAULT, here.fleet, ORDERS, here.context())
    written = "".join(file.read_text() for file in (here.folder / "state").rglob("*.json")) + here.said()
    assert written
    assert not any(password in written for password in PASSWORDS.values())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({**ORDERS, "thread": "both"}, "`thread` is receiver or applier"),
        ({**ORDERS, "store": "nothing"}, "store or role"),
        ({**ORDERS, "region": "mars"}, "region or role"),
    ],
)
def test_arguments_that_mean_nothing(here: Stores, args: dict[str, Any], said: str) -> None:
    with pytest.raises(FaultError, match=said):
        inject(FAULT, here.fleet, args, here.context())
    here.change("orders", admin=None)
    with pytest.raises(FaultError, match="has no `admin`"):
        inject(FAULT, here.fleet, ORDERS, here.context())


def test_redis_stays_a_read_only_replica_and_comes_back(cached: Stores) -> None:
    pair = cached.cache
    with pair.us.client() as us, pair.eu.client() as eu:
        inject(FAULT, cached.fleet, CACHE, cached.context())
        assert cached.states() == DONE
        us.set("order:1", "x")
        info = pair.eu.info()
        assert (info["role"], info["slave_read_only"], info["master_link_status"]) == ("slave", 1, "down")
        assert eu.get("order:1") is None
        assert [str(c) for c in FAULT.changes(cached.fleet, cached.entry().undo)]
        assert restore(cached.entry(), cached.fleet, cached.context()) is FaultState.CONFIRMED_REVERTED
        wait_until("the key", lambda: eu.get("order:1") == "x")
        assert pair.us.info("stats")["sync_full"] == 1, "nothing was copied anew"


def test_redis_that_was_promoted_since_stays_the_primary(cached: Stores) -> None:
    inject(FAULT, cached.fleet, CACHE, cached.context())
    with cached.cache.eu.client() as eu:
        eu.replicaof("NO", "ONE")
        eu.set("order:only-here", "x")
        assert restore(cached.entry(), cached.fleet, cached.context()) is FaultState.CONFIRMED_REVERTED
        assert eu.get("order:only-here") == "x"
    assert cached.cache.eu.info()["role"] == "master"
    assert "it was promoted meanwhile" in cached.said()


def test_redis_that_follows_another_since_is_a_conflict(cached: Stores) -> None:
    inject(FAULT, cached.fleet, CACHE, cached.context())
    with cached.cache.eu.client() as eu:
        eu.replicaof("127.0.0.9", "7")
    assert restore(cached.entry(), cached.fleet, cached.context()) is FaultState.CONFLICT
    assert cached.cache.eu.info()["master_host"] == "127.0.0.9"


def test_redis_whose_link_is_down_is_refused(cached: Stores) -> None:
    cached.cache.us.kill()
    wait_until("down", lambda: cached.cache.eu.info()["master_link_status"] == "down")
    with pytest.raises(FaultError, match="broken already"):
        inject(FAULT, cached.fleet, CACHE, cached.context())
    with pytest.raises(FaultError, match="applies what it receives at once"):
        inject(FAULT, cached.fleet, {**CACHE, "thread": "applier"}, cached.context())
