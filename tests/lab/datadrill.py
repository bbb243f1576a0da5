"""Drills of replicated data, and what the servers themselves hold of the writes that they count."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from datalab import eventually, placed, server
from labdrill import Ran, kubectl, run_drill

from blackstart.evidence.reader import EVIDENCE, verify
from blackstart.fleet import nft
from blackstart.fleet.model import Fleet
from blackstart.lab.data import CACHE, DATABASE, KINDS
from blackstart.lab.paths import LabPaths
from blackstart.ledger import ids
from blackstart.ledger.book import LEDGER
from blackstart.ledger.records import read
from blackstart.schema.result import Verdict
from blackstart.schema.result_writes import StoreWrites

PATHS = LabPaths(Path(__file__).resolve().parents[2] / ".blackstart/lab")
_QUICK = {"phases.hold": "20s", "phases.failback": "100s"}


@contextmanager
def as_before(data: Fleet) -> Iterator[None]:
    """Roles, clients and workloads after the block are those from before it."""
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
    us, eu = server(PATHS, "us"), server(PATHS, "eu")
    return all(us.seen(kind).writable and not eu.seen(kind).writable and eu.follows(kind) for kind in KINDS)


def clients(data: Fleet) -> list[dict[str, str]]:
    """What the clients of each region are told."""
    found = [
        kubectl(each, "-n", "production", "get", "configmap", "stores", "-o", "json")
        for each in data.regions.values()
    ]
    return [json.loads(text)["data"] for text in found]


def drill(
    name: str,
    data: Fleet,
    folder: Path,
    settings: dict[str, str] | None = None,
    fleet: Path | None = None,
    during: tuple[str, Callable[[], object]] | None = None,
) -> Ran:
    return run_drill(
        name,
        fleet or data.source or Path(),
        folder / "out",
        settings={**_QUICK, **(settings or {})},
        during=during,
        deadline=400,
    )


def passed(ran: Ran) -> None:
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output
    assert ran.injected()
    assert all(fault.confirmed_reverted for fault in ran.result.faults)
    assert verify(ran.folder / EVIDENCE).problem is None
    assert {step.outcome for step in ran.result.steps} == {"done"}


def acknowledged(ran: Ran) -> set[str]:
    """The writes that somebody was told are there."""
    writes = read(ran.folder / LEDGER, ids.short(ran.folder.name))
    return {write.id for write in writes if write.result == "ok"}


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
    found, prefix = server(PATHS, region), ids.prefix(ids.short(ran.folder.name))
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
