"""The multi-active database, in a lab of its own: both sides go on, then agree; and what must never pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from datadrill import PATHS, acknowledged
from datalab import eventually, new_id, server
from labdrill import Ran, content, run_drill

from blackstart.evidence.reader import EVIDENCE, read, verify
from blackstart.evidence.records import Reading
from blackstart.evidence.written import Convergence
from blackstart.fleet.model import Fleet
from blackstart.lab import native
from blackstart.lab.api import Request, ask
from blackstart.ledger import ids
from blackstart.schema.result import ObjectiveResult, Verdict

SIDES = ("us", "eu")


@pytest.fixture(scope="module")
def active(session_lab: Any) -> Iterator[Fleet]:
    session_lab.down()
    try:
        yield native.up(list(SIDES), PATHS, print, data=True, multi_active=True)
    finally:
        native.down(PATHS, print)


def drill(
    fleet: Fleet,
    folder: Path,
    during: Callable[[], object] | None = None,
    settings: dict[str, str] | None = None,
    name: str = "multi-active",
) -> Ran:
    for side in SIDES:
        eventually(f"{side} takes orders", partial(place, fleet, side, new_id()))
    quick = {"phases.hold": "10s", "phases.failback": "30s", **(settings or {})}
    at = ("hold", during) if during else None
    return run_drill(name, fleet.source or Path(), folder / "out", settings=quick, during=at, deadline=300)


def place(fleet: Fleet, side: str, order: str) -> bool:
    """POST an order at one side; whether it was acknowledged."""
    writes = fleet.services["order-service"].writes
    assert writes is not None
    url = urlsplit(writes.urls[side])
    request = Request("POST", url.path, json.dumps({"id": order}), "application/json")
    status, body = ask(fleet.places[writes.place], (str(url.hostname), int(url.port or 80)), request, 6.0)
    return status == 200 and json.loads(body)["committed"] is True


def held(side: str, prefix: str, columns: str = "request_id") -> list[str]:
    """What a side's own database has of a run, a row a line, by its root."""
    where = f"FROM shop.orders WHERE request_id LIKE '{prefix}%' ORDER BY n"
    return server(PATHS, side).sql(f"SELECT {columns} {where}", 30.0).splitlines()


def converged(ran: Ran) -> ObjectiveResult:
    return next(o for o in ran.result.objectives if o.kind == "convergence")


def told(ran: Ran, record: str = "orders") -> Convergence:
    lines = (line.body for line in read(ran.folder / EVIDENCE))
    return next(body for body in lines if isinstance(body, Convergence) and body.record == record)


def prefix_of(ran: Ran) -> str:
    return ids.prefix(ids.short(ran.folder.name))


def the_prefix(folder: Path) -> str:
    """Of a run that goes on."""
    (run,) = (folder / "out").iterdir()
    return ids.prefix(ids.short(run.name))


def test_both_sides_take_writes_while_cut_off_and_then_agree(active: Fleet, tmp_path: Path) -> None:
    apart: dict[str, set[str]] = {}

    def look() -> None:
        for side in SIDES:
            apart[side] = set(held(side, the_prefix(tmp_path)))

    ran = drill(active, tmp_path, look)
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output
    assert ran.injected()
    assert all(fault.confirmed_reverted for fault in ran.result.faults)
    assert verify(ran.folder / EVIDENCE).problem is None
    found = converged(ran)
    assert found.met
    assert found.measured is not None
    us, eu = (held(side, prefix_of(ran), "request_id, n, placed") for side in SIDES)
    assert us == eu
    sent = acknowledged(ran)
    assert sent <= {row.split("\t")[0] for row in us}
    by = {write.removeprefix(prefix_of(ran)).split(".")[0] for write in sent}
    assert len(by) == 20
    # A member that lacks something during the cut has not lost it.
    during = [w for w in ran.result.writes if w.moment == "failover" and w.record == "orders"]
    assert all(w.lost > 0 and w.awaited and not w.lost_writes for w in during)
    # Each side's replication, both ways: nothing in the end, and a lot in between.
    readings = [line.body for line in read(ran.folder / EVIDENCE) if isinstance(line.body, Reading)]
    for side in SIDES:
        values = [each.value for each in readings if each.key == side and each.value is not None]
        assert max(values) > 20
        assert values[-1] < 20
    print(f"{len(sent)} writes; {found.detail}; cut off: {len(apart['us'] - apart['eu'])}")


@pytest.mark.full
def test_a_region_that_comes_back_has_lost_nothing_and_nobody_was_promoted(active: Fleet, tmp_path: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["experiment"], document["victims"] = "database-failover", ["primary"]
        document["guards"] = [{"watch": "survivors"}]
        document["objectives"][0] = {"kind": "rto", "service": "multi-active", "objective": "8s"}

    content("experiments", "database-failover", tmp_path, lambda _: None)
    file = content("drills", "multi-active", tmp_path, edit)
    ran = drill(active, tmp_path, name=str(file))
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output
    us, eu = (held(side, prefix_of(ran), "request_id, n, placed") for side in SIDES)
    assert us == eu
    assert acknowledged(ran) <= {row.split("\t")[0] for row in us}
    print(f"{len(us)} writes; {converged(ran).detail}")


@pytest.mark.full
def test_one_key_on_both_sides_is_a_failure_with_the_write_named(active: Fleet, tmp_path: Path) -> None:
    """A client tries again at the other side during the cut, with the same id: both acknowledge it."""
    twice: list[str] = []

    def again() -> None:
        eventually("the link is cut", lambda: missing_at_eu(the_prefix(tmp_path)))
        twice.append(missing_at_eu(the_prefix(tmp_path))[-1])
        assert place(active, "eu", twice[0])

    try:
        ran = drill(active, tmp_path, again, {"objectives.1.objective": "10s"})
        assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), ran.output
        found = converged(ran)
        assert found.met is False
        named = {each.id: each for each in told(ran).examples}
        assert named[twice[0]].differs
        assert sorted(named[twice[0]].held) == ["eu", "us"]
        assert "1062" in found.detail
        assert twice[0] in found.detail
        # What was acknowledged after it does not come to the other side any more.
        late = [w for w in ran.result.writes if w.moment == "failback" and w.record == "orders"]
        assert all(w.lost > 0 and w.lost_writes for w in late)
    finally:
        mend(twice)


@pytest.mark.full
def test_a_write_that_one_side_skips_is_a_failure_with_the_write_named(active: Fleet, tmp_path: Path) -> None:
    """Replication is moved past something, as after a repair by hand, and runs as if nothing were missing."""

    def skip() -> None:
        eventually("the link is cut", lambda: missing_at_eu(the_prefix(tmp_path)))
        us, eu = server(PATHS, "us"), server(PATHS, "eu")
        position = us.sql("SELECT @@global.gtid_binlog_pos").strip()
        (ours,) = (gtid for gtid in position.split(",") if gtid.startswith("1-"))
        eu.sql("STOP SLAVE", 15.0)
        kept = [g for g in eu.sql("SELECT @@global.gtid_slave_pos").strip().split(",") if not g.startswith("1-")]
        moved = f"SET GLOBAL gtid_slave_pos='{','.join([ours, *kept])}'"
        eu.sql(f"SET GLOBAL gtid_strict_mode=0; {moved}; SET GLOBAL gtid_strict_mode=1; START SLAVE", 15.0)

    ran = drill(active, tmp_path, skip, {"objectives.1.objective": "10s"})
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), ran.output
    us, eu = (set(held(side, prefix_of(ran))) for side in SIDES)
    assert us - eu
    assert not eu - us
    found = told(ran)
    assert found.different == len(us - eu)
    assert {each.id for each in found.examples} <= us - eu
    assert all(each.missing == ["eu"] and each.by.startswith("us/") for each in found.examples if each.by)
    assert found.examples[0].id in converged(ran).detail


def missing_at_eu(prefix: str) -> list[str]:
    """What only us has, in its order; for a second at least: replication is a matter of milliseconds."""
    there = set(held("eu", prefix))
    return [write for write in held("us", prefix)[:-20] if write not in there]


def mend(twice: list[str]) -> None:
    """Take a conflict out of both sides, past their logs, and let them go on."""
    for side in SIDES if twice else ():
        gone = "; ".join(
            f"DELETE FROM shop.{table} WHERE {key}='{twice[0]}'"  # noqa: S608 - an id of ours
            for table, key in (("orders", "request_id"), ("outbox", "request_id"), ("events", "id"))
        )
        server(PATHS, side).sql(f"STOP SLAVE; SET sql_log_bin=0; {gone}; START SLAVE", 15.0)
    for side in SIDES:
        eventually(f"{side} follows", partial(server(PATHS, side).follows, "mariadb"), 40.0)
