"""Whether multi-active members hold the same: against a model, and on real servers that replicate both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import storekit
from hypothesis import given
from hypothesis import strategies as st
from storekit import MariaDb, Pair

from blackstart.evidence.written import Convergence
from blackstart.fleet.model import Fleet
from blackstart.ledger import ids
from blackstart.ledger.convergence import differences
from blackstart.ledger.records import Write
from blackstart.run.census import look_at_store
from blackstart.run.convergence import Span, compare, saying, watch
from blackstart.run.looks import Wrong
from blackstart.run.readback import agreed, holding, look_until

RUN = "20260101-000000-abcd"
SIDES = ("us", "eu")


def writes_of(n: int, writer: int, result: str = "ok") -> list[Write]:
    return [
        Write(ids.make(RUN, writer, i), writer, i, result, float(i), i + 0.5, f"{SIDES[writer % 2]}/order-1")  # type: ignore[arg-type]
        for i in range(1, n + 1)
    ]


_NAMES = st.sampled_from([f"w{i}" for i in range(8)])
_CONTENT = st.dictionaries(_NAMES, st.sampled_from(["a", "b"]))
_RESULTS = st.dictionaries(_NAMES, st.sampled_from(["ok", "failed", "indeterminate"]))


@given(st.dictionaries(st.sampled_from(["us", "eu", "as"]), _CONTENT, min_size=2), _RESULTS)
def test_differences_are_those_of_a_model(members: dict[str, dict[str, str]], results: dict[str, str]) -> None:
    writes = [Write(name, 0, 1, result, 1.0, 2.0) for name, result in results.items()]  # type: ignore[arg-type]
    found = {each.id: each for each in differences(members, writes)}
    for name in {f"w{i}" for i in range(8)}:
        have = {member for member, content in members.items() if name in content}
        whats = {content[name] for content in members.values() if name in content}
        there, acknowledged = bool(have), results.get(name) == "ok"
        same = have == set(members) and len(whats) == 1
        assert (name in found) == ((there or acknowledged) and not same)
        if name in found:
            assert set(found[name].held) == have
            assert set(found[name].missing) == set(members) - have
            assert found[name].differs == (len(whats) > 1)


@given(st.dictionaries(st.sampled_from(["us", "eu"]), _CONTENT, min_size=2), st.randoms(use_true_random=False))
def test_the_order_of_members_and_writes_does_not_matter(members: dict[str, dict[str, str]], random: object) -> None:
    writes = [Write(f"w{i}", 0, i, "ok", float(i), i + 0.5) for i in range(4)]
    there = [each.id for each in differences(members, writes)]
    back = [each.id for each in differences(dict(reversed(members.items())), writes[::-1])]
    assert there == back


def test_members_that_agree_have_no_difference() -> None:
    content = {write.id: "x" for write in writes_of(50, 0)}
    assert differences({"us": content, "eu": dict(content)}, writes_of(0, 0)) == []


@pytest.fixture
def active(tmp_path: Path) -> Iterator[Pair[MariaDb]]:
    with storekit.mariadb_pair(tmp_path) as pair:
        for number, (server, wire) in enumerate(((pair.us, pair.back), (pair.eu, pair.wire)), 1):
            server.sql(f"SET GLOBAL gtid_domain_id={number}")
            server.sql("SET GLOBAL auto_increment_increment=2")
            server.sql(f"SET GLOBAL auto_increment_offset={number}")
            server.sql("SET GLOBAL read_only=0")
            if server is pair.us:
                storekit.replicate(server, wire)
        both_run(pair)
        pair.document["pattern"] = "multi-active"
        pair.document["records"]["orders"]["ids"] = "SELECT id, n, at FROM shop.orders WHERE id LIKE %s ORDER BY n"
        yield pair


def both_run(pair: Pair[MariaDb]) -> None:
    for server in (pair.us, pair.eu):
        storekit.wait_until(
            "replication", lambda s=server: s.status()["Slave_IO_Running"] == s.status()["Slave_SQL_Running"] == "Yes"
        )


def cut(pair: Pair[MariaDb]) -> None:
    pair.wire.cut()
    pair.back.cut()


def heal(pair: Pair[MariaDb]) -> None:
    pair.wire.heal()
    pair.back.heal()


def parted(pair: Pair[MariaDb]) -> list[Write]:
    """Both sides took writes while they did not hear of each other."""
    here, there = writes_of(20, 0), writes_of(20, 1)
    cut(pair)
    pair.us.insert(*(w.id for w in here))
    pair.eu.insert(*(w.id for w in there))
    return here + there


def seen(fleet: Fleet, writes: Sequence[Write], patience: float = 30.0) -> tuple[Span, Convergence]:
    """How long it took, and what there is in the end."""
    stores, read = {"db": fleet.stores["db"]}, holding(fleet, RUN)

    async def main() -> tuple[Span, Convergence]:
        spans = await watch(stores, read, writes, patience)
        look = await look_until(agreed, stores, read, writes, patience / 10)
        (found,) = await compare(stores, look, writes, spans, saying(fleet))
        return spans["db"], found

    return asyncio.run(main())


def test_both_sides_come_to_hold_the_same(active: Pair[MariaDb], tmp_path: Path) -> None:
    fleet = storekit.fleet(tmp_path, db=active)
    writes = parted(active)
    span, before = seen(fleet, writes, 1.0)
    assert span.level is None
    assert span.behind is not None
    assert before.different == 40
    assert {tuple(each.held) for each in before.examples} == {("us",), ("eu",)}
    heal(active)
    span, after = seen(fleet, writes, storekit.PATIENCE)
    assert span.level is not None
    assert (after.different, after.members, after.unread) == (0, ["eu", "us"], [])
    assert after.acknowledged == 40


def test_one_key_on_both_sides_stops_replication_and_is_named(active: Pair[MariaDb], tmp_path: Path) -> None:
    """As a client does that tries again at the other side, with the same id."""
    fleet = storekit.fleet(tmp_path, db=active)
    writes = parted(active)
    twice = ids.make(RUN, 7, 1)
    for server in (active.us, active.eu):
        server.insert(twice)
    late = writes_of(5, 3)
    active.eu.insert(*(w.id for w in late))
    heal(active)
    for server in (active.us, active.eu):
        storekit.wait_until("the conflict", lambda s=server: s.status()["Last_SQL_Errno"] == 1062)
    again = [Write(twice, 7, 1, "ok", 90.0, 91.0, "us/order-1")]
    span, found = seen(fleet, [*writes, *again, *late], 1.0)
    assert span.level is None
    named = {each.id: each for each in found.examples}
    assert named[twice].differs
    assert named[twice].held == ["eu", "us"]
    assert {each.id for each in found.examples if each.missing == ["us"]} == {w.id for w in late}
    assert "1062" in found.replication[0]
    assert twice in found.replication[0]


def test_a_write_that_replication_was_told_to_skip_is_named(active: Pair[MariaDb], tmp_path: Path) -> None:
    fleet = storekit.fleet(tmp_path, db=active)
    writes = parted(active)
    position = active.us.sql("SELECT @@gtid_binlog_pos AS p")[0]["p"]
    (ours,) = (gtid for gtid in position.split(",") if gtid.startswith("1-"))
    active.eu.sql("STOP SLAVE")
    active.eu.sql("SET GLOBAL gtid_strict_mode=0")
    active.eu.sql("SET GLOBAL gtid_slave_pos=%s", ours)
    active.eu.sql("SET GLOBAL gtid_strict_mode=1")
    active.eu.sql("START SLAVE")
    heal(active)
    both_run(active)
    span, found = seen(fleet, writes, 5.0)
    assert span.level is None
    assert found.different == 20
    assert {(tuple(each.held), tuple(each.missing)) for each in found.examples} == {(("us",), ("eu",))}
    assert found.examples[0].by == "us/order-1"


def test_other_content_under_the_same_id_is_a_difference(active: Pair[MariaDb], tmp_path: Path) -> None:
    fleet = storekit.fleet(tmp_path, db=active)
    writes = writes_of(3, 0)
    active.us.insert(*(w.id for w in writes))
    assert seen(fleet, writes)[1].different == 0
    # Past the log, as a repair by hand does it.
    active.eu.sql(
        "SET STATEMENT sql_log_bin=0 FOR UPDATE shop.orders SET at=at + INTERVAL 1 SECOND WHERE id=%s", writes[1].id
    )
    span, found = seen(fleet, writes, 1.0)
    assert span.level is not None
    assert [(each.id, each.differs) for each in found.examples] == [(writes[1].id, True)]


def test_a_side_that_cannot_be_read_or_takes_no_writes_is_said(active: Pair[MariaDb], tmp_path: Path) -> None:
    fleet = storekit.fleet(tmp_path, db=active)
    active.eu.sql("SET GLOBAL read_only=1")
    span, found = seen(fleet, [], 0.5)
    assert span.level is None
    assert (found.members, found.unread) == (["us"], ["eu takes no writes"])
    active.eu.kill()
    span, found = seen(fleet, [], 0.5)
    assert span.level is None
    assert found.members == ["us"]
    assert found.unread[0].startswith("eu: refused")


def test_before_a_drill_every_member_must_take_writes_and_be_in_step(active: Pair[MariaDb], tmp_path: Path) -> None:
    fleet = storekit.fleet(tmp_path, db=active)
    active.us.insert("a")
    active.eu.insert("b")
    assert look_at_store(fleet, "db") == "all take writes, and are in step: eu, us"
    active.us.sql("SET GLOBAL read_only=1")
    with pytest.raises(Wrong, match="in us is read-only"):
        look_at_store(fleet, "db")
    active.us.sql("SET GLOBAL read_only=0")
    active.us.sql("STOP SLAVE")
    with pytest.raises(Wrong, match="in us: receiver No, applier No: replication is broken"):
        look_at_store(fleet, "db")
    active.us.sql("START SLAVE")
    both_run(active)
    cut(active)
    active.eu.insert("c")
    with pytest.raises(Wrong, match="in us"):
        look_at_store(fleet, "db")
    heal(active)
    both_run(active)
    active.us.sql("STOP SLAVE")
    active.us.sql("RESET SLAVE ALL")
    with pytest.raises(Wrong, match="in us follows nobody"):
        look_at_store(fleet, "db")
