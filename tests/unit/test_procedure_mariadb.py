"""Promotion and fail-back of real MariaDB servers: nothing acknowledged is lost that could be kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pymysql
import pytest
from stepkit import a_work, do, killed_before
from storekit import APP, PASSWORDS, MariaDb, Pair, free_port, mariadb_pair, wait_until

from blackstart.fleet.sql import Sql
from blackstart.procedures.base import Diverged, StepError, Work

PROMOTE = {"store": "orders", "to": "standby"}
REJOIN = {"store": "orders", "region": "primary"}
HOME = {"store": "orders", "to": "primary"}


def ids(server: MariaDb) -> set[str]:
    return {row["id"] for row in server.sql("SELECT id FROM shop.orders")}


def received(pair: Pair[MariaDb]) -> bool:
    """Whether the replica's relay log has all of us, applied or not."""
    return bool(pair.eu.status()["Gtid_IO_Pos"] == last(pair.us))


def last(server: MariaDb) -> str:
    return str(server.sql("SELECT @@gtid_binlog_pos AS p")[0]["p"])


def behind(pair: Pair[MariaDb], count: int = 50) -> set[str]:
    """Writes that are in the replica's relay log and not applied; then the primary is killed."""
    names = [f"w1-{n}" for n in range(count)]
    pair.us.insert("w0-0")
    wait_until("replication", lambda: "w0-0" in ids(pair.eu))
    pair.eu.sql("STOP SLAVE SQL_THREAD")
    pair.us.insert(*names)
    wait_until("the relay log", lambda: received(pair))
    assert ids(pair.eu) == {"w0-0"}
    pair.us.kill()
    return {"w0-0", *names}


def restart(server: MariaDb) -> None:
    server.kill()
    server.start()


def test_the_naive_order_loses_what_the_relay_log_holds(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        behind(pair)
        pair.eu.sql("STOP SLAVE")
        pair.eu.sql("RESET SLAVE ALL")
        pair.eu.sql("SET GLOBAL read_only = 0")
        assert ids(pair.eu) == {"w0-0"}


def test_starting_a_stopped_replica_loses_it_too(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        behind(pair)
        pair.eu.sql("STOP SLAVE IO_THREAD")
        pair.eu.sql("START SLAVE SQL_THREAD")
        pair.eu.sql("DO SLEEP(1)")
        assert ids(pair.eu) == {"w0-0"}


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda eu: None,
        lambda eu: eu.sql("STOP SLAVE IO_THREAD"),
        restart,
        lambda eu: (restart(eu), restart(eu)),
    ],
    ids=["receiving", "both stopped", "killed and started", "twice"],
)
def test_promote_loses_nothing_of_the_relay_log(tmp_path: Path, meanwhile: Callable[[MariaDb], object]) -> None:
    with mariadb_pair(tmp_path) as pair:
        acknowledged = behind(pair)
        meanwhile(pair.eu)
        said = do(a_work(tmp_path, orders=pair), promote=PROMOTE)
        assert ids(pair.eu) == acknowledged
        assert "us does not answer, so it is not fenced" in said
        pair.eu.insert("w2-0")
        assert pair.eu.status() == {}


def test_promote_with_a_living_primary_fences_it_and_loses_nothing(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        pair.eu.sql("STOP SLAVE")
        pair.us.insert("w1-0", "w1-1")
        said = do(a_work(tmp_path, orders=pair), promote=PROMOTE)
        assert ids(pair.eu) == {"w1-0", "w1-1"}
        assert "eu has all of it" in said
        assert pair.us.sql("SELECT @@read_only AS r")[0]["r"] == 1


def test_promote_with_the_link_cut_says_what_stays_behind(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path, slave_net_timeout="1") as pair:
        pair.us.insert("w1-0")
        wait_until("replication", lambda: "w1-0" in ids(pair.eu))
        pair.wire.cut()
        pair.us.insert("w1-1")
        said = do(a_work(tmp_path, orders=pair), promote=PROMOTE)
        assert "stays there" in said
        assert ids(pair.eu) == {"w1-0"}
        assert pair.us.sql("SELECT @@read_only AS r")[0]["r"] == 1


def test_promote_refuses_a_server_that_nobody_can_vouch_for(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        work = a_work(tmp_path, orders=pair)
        pair.eu.sql("STOP SLAVE")
        pair.eu.sql("RESET SLAVE ALL")
        with pytest.raises(StepError, match="nobody knows whether it has everything"):
            do(work, promote=PROMOTE)
        pair.eu.sql("SET GLOBAL read_only = 0")
        with pytest.raises(StepError, match="two primaries"):
            do(work, promote=PROMOTE)


def test_promote_says_when_applying_fails(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        pair.eu.sql("STOP SLAVE SQL_THREAD")
        pair.eu.sql("SET SESSION sql_log_bin = 0")
        pair.us.insert("w1-0")
        wait_until("the relay log", lambda: received(pair))
        pair.eu.sql("DROP TABLE shop.orders")
        pair.us.kill()
        with pytest.raises(StepError, match="replication stopped: "):
            do(a_work(tmp_path, orders=pair), promote=PROMOTE)
        assert pair.eu.sql("SELECT @@read_only AS r")[0]["r"] == 1


def test_writers_that_wait_for_a_silent_replica_do_not_keep_the_fence_up(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path, semisync=3_600_000, slave_net_timeout="1") as pair:
        pair.us.insert("w1-0")
        pair.wire.cut()
        hung = threading.Thread(target=lambda: suppressed(lambda: pair.us.insert("w1-1")))
        hung.start()
        wait_until(
            "the writer",
            lambda: pair.us.sql("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_wait_sessions'")[0]["Value"] == "1",
        )
        said = do(a_work(tmp_path, orders=pair), promote=PROMOTE)
        hung.join(60)
        assert not hung.is_alive()
        assert "us fenced" in said
        assert ids(pair.eu) == {"w1-0"}


def test_home_again_a_semi_synchronous_primary_waits_for_its_replica(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path, semisync=3_600_000) as pair:
        work = a_work(tmp_path, orders=pair)
        pair.us.kill()
        do(work, promote=PROMOTE)
        pair.us.start()
        do(work, rejoin={**REJOIN, "diverged": "rebuild"})
        pair.eu.insert("w1-0")
        assert waits(pair.us) == waits(pair.eu) == ("OFF", "OFF")
        do(work, switch_back=HOME)
        pair.us.insert("w1-1")
        assert ids(pair.eu) == {"w1-0", "w1-1"}
        assert (waits(pair.us), waits(pair.eu)) == (("ON", "ON"), ("OFF", "OFF"))


def waits(server: MariaDb) -> tuple[str, str]:
    """Whether it waits for replicas, and does so now."""
    (wanted,) = server.sql("SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync_master_enabled'")
    (found,) = server.sql("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_status'")
    return wanted["Value"], found["Value"]


def suppressed(work: Callable[[], object]) -> None:
    with suppress(pymysql.Error):
        work()


class Writer(threading.Thread):
    """Inserts into one server as fast as it goes, until told to stop; `acknowledged` are those it was told."""

    def __init__(self, server: MariaDb, user: str, password: str) -> None:
        super().__init__()
        self.acknowledged: set[str] = set()
        self.ended = threading.Event()
        self._connect = lambda: pymysql.connect(
            host="127.0.0.1", port=server.port, user=user, password=password, autocommit=True
        )
        self.start()
        wait_until("writes", lambda: self.acknowledged)

    def run(self) -> None:
        number = 0
        while not self.ended.is_set():
            with suppress(pymysql.Error), closing(self._connect()) as session:
                while not self.ended.is_set():
                    number += 1
                    session.cursor().execute("INSERT INTO shop.orders (id) VALUES (%s)", [f"{self.name}-{number}"])
                    self.acknowledged.add(f"{self.name}-{number}")

    def stop(self) -> set[str]:
        self.ended.set()
        self.join(60)
        return self.acknowledged


@pytest.mark.parametrize("move", ["promote", "switch_back"])
def test_with_writers_on_nothing_acknowledged_is_lost(tmp_path: Path, move: str) -> None:
    with mariadb_pair(tmp_path) as pair:
        work = a_work(tmp_path, orders=pair)
        pair.us.sql("CREATE USER w@'%' IDENTIFIED BY 'w'")
        pair.us.sql("GRANT INSERT ON shop.* TO w@'%'")
        wait_until("the user", lambda: pair.eu.sql("SELECT user FROM mysql.user WHERE user = 'w'"))
        source, target = pair.us, pair.eu
        if move == "switch_back":
            do(work, promote=PROMOTE)
            do(work, rejoin=REJOIN)
            source, target = pair.eu, pair.us
        writer = Writer(source, "w", "w")
        try:
            do(work, **{move: PROMOTE if move == "promote" else HOME})
            assert target.sql("SELECT @@read_only AS r")[0]["r"] == 0
        finally:
            acknowledged = writer.stop()
        assert acknowledged <= ids(target)
        assert len(acknowledged) > 10


def test_writers_that_read_only_does_not_stop_are_told(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        writer = Writer(pair.us, APP, PASSWORDS[APP])
        try:
            with pytest.raises(StepError, match="some user has READ ONLY ADMIN"):
                do(a_work(tmp_path, orders=pair), promote=PROMOTE)
        finally:
            writer.stop()
        assert pair.eu.sql("SELECT @@read_only AS r")[0]["r"] == 1


def test_a_promotion_that_never_came_about_is_called_off(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        work = a_work(tmp_path, orders=pair)
        pair.wire.cut()
        pair.us.insert("w1-0")
        with pytest.raises(StepError, match=r"did not receive everything|not within"):
            do(work, promote=PROMOTE, deadline=1.0)
        assert pair.us.sql("SELECT @@read_only AS r")[0]["r"] == 1
        pair.wire.heal()
        assert "has the primary already" in do(work, rejoin=REJOIN)
        assert "called off" in do(work, switch_back=HOME)
        pair.us.insert("w1-1")
        wait_until("replication", lambda: ids(pair.eu) == {"w1-0", "w1-1"})
        assert work.promotions.read() == ([], [])


def test_there_and_back_without_a_loss(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        work = a_work(tmp_path, orders=pair)
        pair.us.insert("w1-0")
        wait_until("replication", lambda: "w1-0" in ids(pair.eu))
        pair.us.kill()
        do(work, promote=PROMOTE)
        assert str(work.promotions.read()[0][0]).startswith("store orders of fleet stores: eu has the primary")
        pair.eu.insert("w2-0")
        pair.us.start()
        assert "is a prefix of eu" in do(work, rejoin=REJOIN)
        wait_until("replication", lambda: "w2-0" in ids(pair.us))
        do(work, rejoin=REJOIN)
        do(work, switch_back=HOME)
        assert work.promotions.read() == ([], [])
        assert "it takes writes already" in do(work, switch_back=HOME)
        pair.us.insert("w3-0")
        wait_until("replication", lambda: ids(pair.eu) == {"w1-0", "w2-0", "w3-0"})
        assert ids(pair.us) == ids(pair.eu)
        assert pair.eu.sql("SELECT @@read_only AS r")[0]["r"] == 1
        do(work, promote=PROMOTE)
        assert "follows" in do(work, rejoin=REJOIN)


def diverged(pair: Pair[MariaDb], work: Work) -> None:
    """eu is promoted without w1-1 and w1-2, which us has acknowledged."""
    pair.us.insert("w1-0")
    wait_until("replication", lambda: "w1-0" in ids(pair.eu))
    pair.wire.cut()
    pair.us.insert("w1-1", "w1-2")
    pair.us.sql("CREATE DATABASE only_us")
    pair.us.kill()
    do(work, promote=PROMOTE)
    pair.eu.insert("w2-0")
    pair.us.start()
    pair.wire.heal()


def test_a_diverged_server_is_never_merged_silently(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        work = a_work(tmp_path, orders=pair)
        diverged(pair, work)
        with pytest.raises(Diverged, match=r"orders in us has 0-1-2\.\.0-1-4, which orders in eu has not"):
            do(work, rejoin=REJOIN)
        assert ids(pair.us) == {"w1-0", "w1-1", "w1-2"}
        assert pair.us.sql("SELECT @@read_only AS r")[0]["r"] == 1
        said = do(work, rejoin={**REJOIN, "diverged": "rebuild"})
        assert "salvaged 0-1-2..0-1-4" in said
        assert ids(pair.us) == {"w1-0", "w2-0"}
        assert pair.us.sql("SHOW DATABASES LIKE 'only_us'") == []
        salvage = tmp_path / "run" / "salvage"
        text = (salvage / "orders-us.sql").read_text()
        assert "w1-1" in text
        assert "w1-2" in text
        assert "w1-0" not in text
        assert {file.stat().st_mode & 0o777 for file in salvage.iterdir()} == {0o600}
        do(work, switch_back=HOME)
        pair.us.insert("w3-0")
        wait_until("replication", lambda: ids(pair.eu) == {"w1-0", "w2-0", "w3-0"})


STRIDES = [7, pytest.param(1, marks=pytest.mark.full)]
"""Kill at each seventh statement, and under `make test-full` at each."""


def each_statement(strike: Callable[[], None]) -> None:
    """Have the steps of this process call `strike` before each statement."""
    rows = Sql.rows

    def patched(self: Sql, statement: str, arguments: Sequence[object] | None = None) -> list[dict[str, Any]]:
        strike()
        return rows(self, statement, arguments)

    Sql.rows = patched  # type: ignore[method-assign]


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("stopped", ["STOP SLAVE SQL_THREAD", "STOP SLAVE"])
def test_promote_killed_at_any_statement_goes_on(tmp_path: Path, stopped: str, stride: int) -> None:
    """The primary is out of reach for the replica and for the step, but can be made its replica again quickly."""
    with mariadb_pair(tmp_path, slave_net_timeout="1") as pair:
        live = a_work(tmp_path, orders=pair)
        pair.document["members"]["us"]["address"] = f"127.0.0.1:{free_port()}"
        dead = a_work(tmp_path, orders=pair)
        number, killed, acknowledged = 0, True, set[str]()
        while killed:
            number += stride
            pair.eu.sql("STOP SLAVE SQL_THREAD")
            written = [f"w{number}-{n}" for n in range(5)]
            pair.us.insert(*written)
            acknowledged |= set(written)
            wait_until("the relay log", lambda: received(pair))
            pair.wire.cut()
            pair.eu.sql(stopped)
            killed = killed_before(number, each_statement, lambda: do(dead, promote=PROMOTE))
            do(dead, promote=PROMOTE)
            assert ids(pair.eu) == acknowledged, number
            pair.eu.insert(f"w0-{number}")
            acknowledged.add(f"w0-{number}")
            pair.wire.heal()
            do(live, rejoin=REJOIN)
            do(live, switch_back=HOME)
        assert number > 12


@pytest.mark.parametrize("stride", STRIDES)
def test_switch_back_killed_at_any_statement_goes_on(tmp_path: Path, stride: int) -> None:
    with mariadb_pair(tmp_path) as pair:
        work = a_work(tmp_path, orders=pair)
        number, killed, acknowledged = 0, True, set[str]()
        while killed:
            number += stride
            do(work, promote=PROMOTE)
            do(work, rejoin=REJOIN)
            pair.eu.insert(f"w1-{number}")
            killed = killed_before(number, each_statement, lambda: do(work, switch_back=HOME))
            do(work, switch_back=HOME)
            pair.us.insert(f"w2-{number}")
            acknowledged |= {f"w1-{number}", f"w2-{number}"}
            assert ids(pair.us) == acknowledged, number
            wait_until("replication", lambda: f"w2-{number}" in ids(pair.eu))  # noqa: B023 - called at once
            assert ids(pair.eu) == acknowledged
            assert work.promotions.read() == ([], [])
        assert number > 12


@pytest.mark.parametrize("stride", STRIDES)
def test_rebuild_killed_at_any_statement_goes_on(tmp_path: Path, stride: int) -> None:
    """What is half rebuilt has no history, and must not be taken for a prefix."""
    with mariadb_pair(tmp_path) as pair:
        work = a_work(tmp_path, orders=pair)
        diverged(pair, work)
        number, killed = 0, True
        while killed:
            number += stride
            killed = killed_before(number, each_statement, lambda: do(work, rebuild=REJOIN))
            if ids_or_none(pair.us) != ids(pair.eu):
                with pytest.raises(Diverged):
                    do(work, rejoin=REJOIN)
            do(work, rejoin={**REJOIN, "diverged": "rebuild"})
            assert ids(pair.us) == ids(pair.eu)
            salvaged = "".join(file.read_text() for file in (tmp_path / "run/salvage").glob("*.sql"))
            assert all(f"lost-{lost}'" in salvaged for lost in range(stride, number, stride))
            pair.us.sql("STOP SLAVE")
            pair.us.sql("RESET SLAVE ALL")
            pair.us.insert(f"lost-{number}")


def ids_or_none(server: MariaDb) -> set[str] | None:
    try:
        return ids(server)
    except pymysql.Error:
        return None
