"""Reading stores back, from real servers: in full, from the one that was meant, or not at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import storekit
from loopback import black_hole, free_address
from storekit import MariaDb, Pair, Redis

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Login
from blackstart.ledger import ids
from blackstart.ledger.checker import check
from blackstart.ledger.records import Write
from blackstart.ledger.stores import Holding, Unread, hold
from blackstart.run.readback import Enough, Hold, Seen, agreed, all_there, at_rest, holding, look_until

RUN = "20260101-000000-abcd"


def some(n: int, start: int = 1, writer: int = 0) -> list[Write]:
    """Acknowledged writes of one writer."""
    numbers = range(start, start + n)
    return [Write(ids.make(RUN, writer, i), writer, i, "ok", float(i), i + 0.5, "us") for i in numbers]


@pytest.fixture
def mariadb(tmp_path: Path) -> Iterator[Pair[MariaDb]]:
    with storekit.mariadb_pair(tmp_path) as pair:
        yield pair


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Pair[Redis]]:
    with storekit.redis_pair(tmp_path) as pair:
        yield pair


def read(fleet: Fleet, member: str, store: str = "db", login: Login | None = None, deadline: float = 20.0) -> Holding:
    kept = fleet.stores[store]
    return hold(fleet, kept, kept.members[member], login or kept.reader, RUN, deadline)


def put(server: Redis, writes: Sequence[Write]) -> None:
    with server.client() as client:
        client.mset({f"order:{w.id}": "1" for w in writes})


def with_member(fleet: Fleet, name: str, **change: object) -> Fleet:
    """The fleet, whose store `db` has a member changed."""
    store = fleet.stores["db"]
    members = {**store.members, name: store.members[name].model_copy(update=change)}
    return fleet.model_copy(update={"stores": {"db": store.model_copy(update={"members": members})}})


def look(
    fleet: Fleet,
    writes: Sequence[Write],
    patience: float = 5.0,
    enough: Enough = at_rest,
    read: Hold | None = None,
) -> tuple[Seen, Seen]:
    """us and eu, as they are seen in the end."""
    reader = read or holding(fleet, RUN)
    found = asyncio.run(look_until(enough, {"db": fleet.stores["db"]}, reader, writes, patience))
    eu, us = sorted(found["db"], key=lambda seen: seen.member)
    return us, eu


def test_mariadb_is_read_in_full_and_in_order(mariadb: Pair[MariaDb], tmp_path: Path) -> None:
    fleet, writes = storekit.fleet(tmp_path, db=mariadb), some(12_000)
    names = [w.id for w in reversed(writes)]
    rows = ", ".join(f"('{name}')" for name in [*names, "20260101-000000-abce.000.0000001.abcdefabcdef"])
    mariadb.us.sql(f"INSERT INTO shop.orders (id) VALUES {rows}")  # noqa: S608 - ids of ours
    found = read(fleet, "us")
    assert found.ids["orders"] == names
    assert found.who.writable
    assert f":{mariadb.us.port} " in found.who.server


def test_redis_is_read_in_full(redis: Pair[Redis], tmp_path: Path) -> None:
    fleet, writes = storekit.fleet(tmp_path, db=redis), some(5000)
    put(redis.us, writes)
    with redis.us.client() as client:
        client.mset({"order:20260101-000000-abce.1": "another run's", f"cart:{writes[0].id}": "something else"})
    found = read(fleet, "us")
    assert found.ids["orders"] == sorted(w.id for w in writes)
    assert found.who.writable


def test_a_replica_says_that_it_is_one(mariadb: Pair[MariaDb], redis: Pair[Redis], tmp_path: Path) -> None:
    for pair in (mariadb, redis):
        fleet = storekit.fleet(tmp_path, db=pair)
        us, eu = read(fleet, "us"), read(fleet, "eu")
        assert (us.who.writable, eu.who.writable) == (True, False)
        assert us.who.server != eu.who.server


def test_what_cannot_be_read_has_a_reason(mariadb: Pair[MariaDb], redis: Pair[Redis], tmp_path: Path) -> None:
    for pair in (mariadb, redis):
        fleet = storekit.fleet(tmp_path, db=pair)
        with black_hole() as silent:
            for change, login, reason in (
                ({"address": free_address()}, None, Reason.REFUSED),
                ({"address": silent}, None, Reason.TIMEOUT),
                ({}, Login(user="nobody"), Reason.UNAUTHORISED),
            ):
                with pytest.raises(Unread) as raised:
                    read(with_member(fleet, "us", **change), "us", login=login)
                assert raised.value.reason == reason, raised.value


def test_a_wrong_select_is_malformed_and_shows_no_password(mariadb: Pair[MariaDb], tmp_path: Path) -> None:
    fleet = storekit.fleet(tmp_path, db=mariadb)
    store = fleet.stores["db"]
    wrong = store.records["orders"].model_copy(update={"ids": "SELECT id FROM shop.nothing WHERE id LIKE %s"})
    fleet = fleet.model_copy(update={"stores": {"db": store.model_copy(update={"records": {"orders": wrong}})}})
    with pytest.raises(Unread, match="doesn't exist") as raised:
        read(fleet, "us")
    assert storekit.PASSWORDS[storekit.READER] not in str(raised.value)


def test_reading_ends_at_its_deadline(mariadb: Pair[MariaDb], tmp_path: Path) -> None:
    fleet = storekit.fleet(tmp_path, db=mariadb)
    store = fleet.stores["db"]
    slow = store.records["orders"].model_copy(
        update={"ids": "SELECT id FROM shop.orders WHERE id LIKE %s OR SLEEP(30) = 1"}
    )
    mariadb.us.insert("other")
    fleet = fleet.model_copy(update={"stores": {"db": store.model_copy(update={"records": {"orders": slow}})}})
    with pytest.raises(Unread) as raised:
        read(fleet, "us", deadline=1.0)
    assert raised.value.reason == Reason.TIMEOUT


def test_an_asynchronous_failover_loses_exactly_what_was_not_replicated(
    mariadb: Pair[MariaDb], tmp_path: Path
) -> None:
    fleet = storekit.fleet(tmp_path, db=mariadb)
    safe, late = some(20), some(30, 21)
    mariadb.us.insert(*(w.id for w in safe))
    assert [seen.lost for seen in look(fleet, safe, 30.0, agreed)] == [0, 0]
    mariadb.wire.cut()
    mariadb.us.insert(*(w.id for w in late))
    # The replica lags: that is no loss, for it takes no writes.
    assert [(seen.writable, seen.lost) for seen in look(fleet, safe + late)] == [(True, 0), (False, 30)]
    mariadb.us.kill()
    # Nobody has promoted anything yet: there is nothing to judge.
    assert not any(seen.writable for seen in look(fleet, safe + late, 0.0))
    mariadb.eu.sql("STOP SLAVE")
    mariadb.eu.sql("RESET SLAVE ALL")
    mariadb.eu.sql("SET GLOBAL read_only=0")
    more = some(5, 51)
    mariadb.eu.insert(*(w.id for w in more))
    us, eu = look(fleet, safe + late + more)
    assert isinstance(us.answer, Unread)
    assert [w.id for w in eu.found["orders"].lost] == [w.id for w in late]
    assert eu.found["orders"].gaps == 30


def test_both_sides_that_take_writes_are_judged(mariadb: Pair[MariaDb], tmp_path: Path) -> None:
    """Split brain: each side lacks what the other acknowledged, and that is said of each."""
    fleet = storekit.fleet(tmp_path, db=mariadb)
    mariadb.wire.cut()
    mariadb.eu.sql("SET GLOBAL read_only=0")
    here, there = some(3), some(4, writer=1)
    mariadb.us.insert(*(w.id for w in here))
    mariadb.eu.insert(*(w.id for w in there))
    us, eu = look(fleet, here + there)
    assert us.writable
    assert eu.writable
    assert {w.id for w in us.found["orders"].lost} == {w.id for w in there}
    assert {w.id for w in eu.found["orders"].lost} == {w.id for w in here}


def test_two_members_that_are_one_server_are_not_believed(mariadb: Pair[MariaDb], tmp_path: Path) -> None:
    """The address of eu leads to us: the dead primary's data would stand for what eu has."""
    fleet = with_member(storekit.fleet(tmp_path, db=mariadb), "eu", address=mariadb.us.address)
    for seen in look(fleet, [], 0.0):
        assert isinstance(seen.answer, Unread)
        assert "the same server" in seen.answer.detail


def test_a_stale_snapshot_loses_what_it_lacks(mariadb: Pair[MariaDb], tmp_path: Path) -> None:
    """A server that takes writes, with the data of a while ago."""
    fleet = storekit.fleet(tmp_path, db=mariadb)
    old, new = some(5), some(5, 6)
    mariadb.us.insert(*(w.id for w in old))
    assert look(fleet, old, 30.0, agreed)[1].lost == 0
    mariadb.wire.cut()
    mariadb.us.insert(*(w.id for w in new))
    mariadb.us.kill()
    mariadb.eu.sql("SET GLOBAL read_only=0")
    _, eu = look(fleet, old + new)
    assert eu.lost == 5
    assert eu.found["orders"].newest == old[-1].answered


def test_a_role_that_changes_meanwhile_is_no_answer(mariadb: Pair[MariaDb], tmp_path: Path) -> None:
    fleet = storekit.fleet(tmp_path, db=mariadb)
    store = fleet.stores["db"]
    mariadb.us.insert("other")
    slow = store.records["orders"].model_copy(
        update={"ids": "SELECT id FROM shop.orders WHERE id LIKE %s OR SLEEP(1.5) = 1"}
    )
    fleet = fleet.model_copy(update={"stores": {"db": store.model_copy(update={"records": {"orders": slow}})}})

    def demote() -> None:
        storekit.wait_until(
            "the read", lambda: any("SLEEP(1.5)" in str(row) for row in mariadb.us.sql("SHOW PROCESSLIST"))
        )
        mariadb.us.sql("SET GLOBAL read_only=1")

    with ThreadPoolExecutor() as pool:
        pool.submit(demote)
        with pytest.raises(Unread, match="changed while it was read") as raised:
            read(fleet, "us")
    assert raised.value.reason == Reason.PARTIAL


def test_a_redis_failback_that_discards_is_counted(redis: Pair[Redis], tmp_path: Path) -> None:
    fleet = storekit.fleet(tmp_path, db=redis)
    safe, late, after = some(10), some(7, 11), some(3, 18)
    put(redis.us, safe)
    assert look(fleet, safe, 30.0, agreed)[1].lost == 0
    redis.wire.cut()
    put(redis.us, late)
    with redis.eu.client() as client:
        client.replicaof("NO", "ONE")
    put(redis.eu, after)
    with redis.us.client() as client:
        client.replicaof("127.0.0.1", redis.back.port)
    storekit.wait_until("resync", lambda: redis.us.info().get("master_link_status") == "up")
    us, eu = look(fleet, safe + late + after, 30.0, agreed)
    assert us.same(eu)
    assert {w.id for w in eu.found["orders"].lost} == {w.id for w in late}


def test_a_replica_that_is_behind_is_waited_for(redis: Pair[Redis], tmp_path: Path) -> None:
    fleet, writes = storekit.fleet(tmp_path, db=redis), some(10)
    reads: list[str] = []
    real = holding(fleet, RUN)

    def late(store: str, member: str) -> Holding:
        found = real(store, member)
        reads.append(member)
        # As if it had got there only when the third look came.
        return replace(found, ids={"orders": []}) if member == "eu" and reads.count("eu") < 3 else found

    put(redis.us, writes)
    us, eu = look(fleet, writes, 30.0, agreed, late)
    assert us.same(eu)
    assert eu.lost == 0
    assert reads.count("eu") >= 3


def test_members_that_are_written_to_meanwhile_are_all_there(redis: Pair[Redis], tmp_path: Path) -> None:
    """In the baseline: what counts is that each has what was acknowledged, not that two looks agree."""
    fleet, writes = storekit.fleet(tmp_path, db=redis), some(10)
    real, looks = holding(fleet, RUN), iter(range(1000))
    put(redis.us, writes)

    def busy(store: str, member: str) -> Holding:
        found = real(store, member)
        return replace(found, ids={"orders": [*found.ids["orders"], f"later-{next(looks)}"]})

    us, eu = look(fleet, writes, 30.0, all_there, busy)
    assert (us.lost, eu.lost) == (0, 0)
    assert next(looks) < 20


def test_what_an_outbox_brings_late_is_not_lost(redis: Pair[Redis], tmp_path: Path) -> None:
    fleet, writes = storekit.fleet(tmp_path, db=redis), some(10)
    real, began = holding(fleet, RUN), time.monotonic()
    put(redis.us, writes)

    def behind(store: str, member: str) -> Holding:
        found = real(store, member)
        return found if time.monotonic() - began > 1.5 else replace(found, ids={"orders": found.ids["orders"][:4]})

    us, _ = look(fleet, writes, 30.0, at_rest, behind)
    assert us.lost == 0


def test_a_reader_that_crashes_is_an_unknown(redis: Pair[Redis], tmp_path: Path) -> None:
    def crash(store: str, member: str) -> Holding:
        raise RuntimeError("boom")

    for seen in look(storekit.fleet(tmp_path, db=redis), some(1), 0.0, read=crash):
        assert isinstance(seen.answer, Unread)
        assert "boom" in seen.answer.detail
        assert not seen.writable


def test_the_checker_and_the_store_agree_on_duplicates(mariadb: Pair[MariaDb], tmp_path: Path) -> None:
    fleet, writes = storekit.fleet(tmp_path, db=mariadb), some(3)
    mariadb.us.sql("ALTER TABLE shop.orders DROP INDEX id")
    mariadb.us.insert(writes[0].id, writes[2].id, writes[1].id, writes[0].id)
    found = check(writes, read(fleet, "us").ids["orders"], ordered=True)
    assert found.duplicated == [writes[0].id]
    assert found.reordered == [writes[1].id]
