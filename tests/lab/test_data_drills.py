"""The drills of replicated data on real stores, and whether what they count is what the servers hold."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datalab import eventually, placed, server
from labdrill import Ran, content, kubectl, run_drill

from blackstart.evidence.reader import EVIDENCE, verify
from blackstart.fleet import nft
from blackstart.fleet.model import Fleet
from blackstart.lab import native
from blackstart.lab.data import CACHE, DATABASE, KINDS
from blackstart.lab.paths import LabPaths
from blackstart.ledger import ids
from blackstart.ledger.book import LEDGER
from blackstart.ledger.records import Write, read
from blackstart.schema.result import StoreWrites, Verdict

_PATHS = LabPaths(Path(__file__).resolve().parents[2] / ".blackstart/lab")
_MISTAKE = """
from pathlib import Path
from blackstart.lab import native
from blackstart.lab.paths import LabPaths
found = native.load(LabPaths(Path({lab!r}))).region("eu").data
found.sql("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only=0;", 15.0)
found.sql("INSERT INTO shop.orders (request_id) VALUES ('by-mistake')")
"""
_HOLD = {"phases.hold": "20s", "phases.failback": "100s"}


@pytest.fixture(autouse=True)
def as_before(data: Fleet) -> Iterator[None]:
    """Roles, clients and workloads after the drill are those from before it."""
    placed(data)
    eventually("the replicas follow", healthy, 40.0)
    before = clients(data)
    yield
    eventually("the replicas follow", healthy, 40.0)
    assert clients(data) == before
    placed(data)
    for place in data.places.values():
        assert nft.tables(place) == []
    for region in data.regions.values():
        found = json.loads(kubectl(region, "-n", "production", "get", "deployments", "-o", "json"))
        assert all(each["status"].get("readyReplicas") == each["spec"]["replicas"] for each in found["items"])


def healthy() -> bool:
    us, eu = server(_PATHS, "us"), server(_PATHS, "eu")
    return all(us.seen(kind).writable and not eu.seen(kind).writable and eu.follows(kind) for kind in KINDS)


def clients(data: Fleet) -> list[dict[str, str]]:
    """What the clients of each region are told."""
    found = [
        kubectl(each, "-n", "production", "get", "configmap", "stores", "-o", "json")
        for each in data.regions.values()
    ]
    return [json.loads(text)["data"] for text in found]


def drill(name: str, data: Fleet, folder: Path, settings: dict[str, str] | None = None) -> Ran:
    return run_drill(
        name, data.source or Path(), folder / "out", settings={**_HOLD, **(settings or {})}, deadline=400
    )


def passed(ran: Ran) -> None:
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output
    assert ran.injected()
    assert all(fault.confirmed_reverted for fault in ran.result.faults)
    assert verify(ran.folder / EVIDENCE).problem is None
    assert {step.outcome for step in ran.result.steps} == {"done"}


def acknowledged(ran: Ran) -> set[str]:
    return {write.id for write in written(ran) if write.result == "ok"}


def written(ran: Ran) -> list[Write]:
    return read(ran.folder / LEDGER, ids.short(ran.folder.name))


def told(ran: Ran, store: str, record: str, moment: str = "failover") -> StoreWrites:
    """What the result says of the member that takes writes."""
    (found,) = [
        w for w in ran.result.writes if (w.store, w.record, w.moment, w.writable) == (store, record, moment, True)
    ]
    return found


def salvaged(ran: Ran) -> dict[tuple[str, str], set[str]]:
    """What only the old primary had, as the rebuild put it aside: its binary log, and its keys."""
    found: dict[tuple[str, str], set[str]] = {(DATABASE, "orders"): set(), (CACHE, "orders"): set()}
    for log in (ran.folder / "salvage").glob(f"{DATABASE}-us*.sql"):
        rows = re.findall(r"### INSERT INTO `shop`\.`orders`\n### SET\n(?:###   .*\n)*", log.read_text())
        found[DATABASE, "orders"] |= {text for row in rows for text in re.findall(r"@2='([^']+)'", row)}
    for keys in (ran.folder / "salvage").glob(f"{CACHE}-us*.ndjson"):
        names = [json.loads(line)["key"] for line in keys.read_text().splitlines()]
        found[CACHE, "orders"] |= {name.removeprefix("order:") for name in names}
    return found


def held(region: str, ran: Ran) -> dict[tuple[str, str], set[str]]:
    """What a region's servers hold of the run now, by their own clients."""
    found, prefix = server(_PATHS, region), ids.prefix(ids.short(ran.folder.name))
    rows = found.sql("SELECT request_id FROM shop.orders", 30.0).split()
    keys = found.redis(f"KEYS order:{prefix}*", timeout=30.0)
    return {
        (DATABASE, "orders"): {row for row in rows if row.startswith(prefix)},
        (CACHE, "orders"): {key.removeprefix("order:") for key in keys},
    }


def counted_truly(ran: Ran) -> dict[tuple[str, str], int]:
    """The losses that the drill tells are those that the servers' own data tell; how many."""
    sent, aside, now = acknowledged(ran), salvaged(ran), {region: held(region, ran) for region in ("us", "eu")}
    for store, record in aside:
        lost = sent & aside[store, record]
        said = told(ran, store, record)
        assert said.lost == len(lost), (store, said, len(lost))
        assert {write.id for write in said.lost_writes} <= lost
        for region in ("us", "eu"):
            assert sent - now[region][store, record] == lost, (store, region)
        assert told(ran, store, record, "failback").new == 0
    return {key: len(sent & each) for key, each in aside.items()}


def test_database_failover_passes_and_counts_truly(data: Fleet, tmp_path: Path) -> None:
    ran = drill("database-failover", data, tmp_path, {"objectives.0.objective": "17s"})
    passed(ran)
    lost = counted_truly(ran)
    print(f"lost {lost} of {len(acknowledged(ran))}; {ran.result.clock}")


def test_what_a_standby_that_is_behind_loses_is_counted_truly(data: Fleet, tmp_path: Path) -> None:
    """The database stops replicating some seconds before its region is lost: that costs more than the objectives."""

    def behind(document: dict[str, Any]) -> None:
        sever: dict[str, Any] = {"type": "action", "name": "the standby gets nothing any more"}
        provider = {"type": "python", "module": "blackstart.activities.faults", "func": "sever_store"}
        sever["provider"] = {**provider, "arguments": {"store": "database", "region": "standby"}}
        document["method"].insert(0, sever)

    content("experiments", "database-failover", tmp_path, behind)
    file = content("drills", "database-failover", tmp_path, lambda _: None)
    ran = drill(str(file), data, tmp_path, {"objectives.0.objective": "17s"})
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), ran.output
    assert {o.kind for o in ran.result.objectives if o.met is False} <= {"rpo", "lost-writes", "rto", "failback"}
    lost = counted_truly(ran)
    assert lost[DATABASE, "orders"] > 0
    print(f"lost {lost} of {len(acknowledged(ran))}")


def test_cache_failover_passes_and_counts_truly(data: Fleet, tmp_path: Path) -> None:
    ran = drill("cache-failover", data, tmp_path, {"objectives.0.objective": "17s"})
    passed(ran)
    lost = counted_truly(ran)
    assert lost[DATABASE, "orders"] == 0
    print(f"lost {lost} of {len(acknowledged(ran))}")


@pytest.mark.full
def test_event_log_passes(data: Fleet, tmp_path: Path) -> None:
    ran = drill("event-log", data, tmp_path, {"objectives.2.objective": "17s"})
    passed(ran)
    for moment in ("failover", "failback"):
        events = told(ran, DATABASE, "events", moment)
        assert (events.reordered, events.duplicated) == (0, 0)
        assert events.ids > 0


def test_two_sides_that_take_writes_are_a_failure_with_the_writes_named(data: Fleet, tmp_path: Path) -> None:
    """The link is cut, and somebody opens the standby's database without a look at the primary's."""
    script = tmp_path / "open.py"
    script.write_text(_MISTAKE.format(lab=str(_PATHS.root)))

    def edit(document: dict[str, Any]) -> None:
        document["drill"] = "split-brain"
        document["experiment"] = "link-loss"
        document["victims"], document["detect"] = [], "fault"
        document["procedure"] = [
            {"name": "both by mistake", "deadline": "30s", "command": [sys.executable, str(script)]}
        ]
        follow = {"store": "database", "region": "standby", "diverged": "rebuild"}
        document["failback_procedure"] = [{"name": "the standby follows", "deadline": "2m", "rejoin": follow}]
        document["objectives"] = [{"kind": "lost-writes", "service": "orders"}]

    content("experiments", "link-loss", tmp_path, _orders)
    file = content("drills", "database-failover", tmp_path, edit)
    named = file.rename(file.with_name("split-brain.yaml"))
    ran = drill(str(named), data, tmp_path, {"phases.hold": "8s"})
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), ran.output
    after = (DATABASE, "orders", "failover", True)
    both = [w for w in ran.result.writes if (w.store, w.record, w.moment, w.writable) == after]
    assert sorted(w.member for w in both) == ["eu", "us"]
    lacks = next(w for w in both if w.member == "eu")
    assert lacks.lost > 0
    assert {write.id for write in lacks.lost_writes} <= acknowledged(ran)
    assert "lost" in ran.output
    assert (ran.folder / "salvage").is_dir()


def _orders(document: dict[str, Any]) -> None:
    for probe in document["steady-state-hypothesis"]["probes"]:
        probe["provider"]["arguments"]["service"] = "orders"


@pytest.mark.full
def test_semi_synchronous_replication_loses_nothing(data: Fleet, tmp_path: Path) -> None:
    """In a lab of its own kind, in the place of the other one."""
    native.down(_PATHS, print)
    try:
        fleet = native.up(["us", "eu"], _PATHS, print, data=True, semi_sync=True)
        placed(fleet)
        ran = drill("database-failover-semisync", fleet, tmp_path, {"objectives.0.objective": "17s"})
        passed(ran)
        assert counted_truly(ran)[DATABASE, "orders"] == 0
        us = server(_PATHS, "us")
        assert "ON" in us.sql("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_status'")
    finally:
        native.down(_PATHS, print)
        native.up(["us", "eu"], _PATHS, print, mesh=True, data=True)
