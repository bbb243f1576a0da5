"""A lab with stores: written to as clients do, read at each of its servers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from labdrill import kubectl

from blackstart.fleet import redisdb, sql
from blackstart.fleet.model import Fleet
from blackstart.lab import native
from blackstart.lab.api import Request, ask
from blackstart.lab.data import CACHE, DATABASE
from blackstart.lab.dataregion import RegionData
from blackstart.lab.paths import LabPaths


def new_id() -> str:
    return f"test-{uuid4()}"


def place(data: Fleet, order: str) -> tuple[int, dict[str, Any]]:
    """POST an order by the service's entry. Raises OSError."""
    writes = data.services["order-service"].writes
    assert writes is not None
    assert writes.url
    url = urlsplit(writes.url)
    request = Request("POST", url.path, json.dumps({"id": order}), "application/json")
    status, body = ask(data.places[writes.place], (str(url.hostname), int(url.port or 80)), request, 6.0)
    try:
        found: dict[str, Any] = json.loads(body)
    except ValueError:
        found = {}  # the edge's own words
    return status, found


def rows(data: Fleet, region: str, records: str, order: str) -> list[str]:
    """The ids in a table of a region's MariaDB that are this one."""
    store = data.stores[DATABASE]
    with sql.connect(data, store, store.members[region], store.reader) as session:
        return [next(iter(row.values())) for row in session.rows(store.records[records].ids, [order])]


def table_sizes(data: Fleet, region: str) -> dict[str, int]:
    """How many orders and events a region's MariaDB has."""
    store = data.stores[DATABASE]
    with sql.connect(data, store, store.members[region], store.reader) as session:
        question = "SELECT COUNT(*) AS n FROM"
        return {name: session.row(f"{question} {name}")["n"] for name in ("shop.orders", "shop.events")}


def cached(data: Fleet, region: str, order: str) -> bool:
    """Whether a region's Redis has the order."""
    store = data.stores[CACHE]
    with redisdb.connect(data, store, store.members[region], store.reader) as client:
        return bool(client.exists(f"order:{order}"))


def everywhere(data: Fleet, order: str) -> bool:
    """Whether the order is in every store of both regions, once, and its event, too."""
    return all(
        rows(data, region, "orders", order) == rows(data, region, "events", order) == [order]
        and cached(data, region, order)
        for region in ("us", "eu")
    )


def eventually(what: str, look: Callable[[], object], timeout: float = 15.0) -> float:
    """Seconds that it took."""
    begun = time.monotonic()
    while not look():
        assert time.monotonic() < begun + timeout, f"not after {timeout} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - begun


def placed(data: Fleet) -> str:
    """A new order that was acknowledged; the service has some seconds to find its stores."""
    found: list[str] = []

    def look() -> bool:
        found.append(new_id())
        return place(data, found[-1])[1].get("committed") is True

    eventually("an order is acknowledged", look)
    return found[-1]


def point_to(data: Fleet, region: str) -> None:
    """What a promotion does last: the primary's addresses in both clusters' ConfigMaps."""
    addresses = {name: store.members[region].client_address for name, store in data.stores.items()}
    patch = json.dumps({"data": addresses})
    for each in data.regions.values():
        kubectl(each, "-n", "production", "patch", "configmap", "stores", "--type=merge", "-p", patch)


def server(paths: LabPaths, region: str) -> RegionData:
    """A region's servers as root sees them."""
    found = native.load(paths).region(region).data
    assert found is not None
    return found


def swap(paths: LabPaths, primary: str, replica: str) -> None:
    """A planned switch of both stores, nothing being written meanwhile."""
    old, new = server(paths, replica), server(paths, primary)
    old.sql("SET GLOBAL read_only=1;")
    position = old.sql("SELECT @@global.gtid_binlog_pos").strip()
    assert new.sql(f"SELECT MASTER_GTID_WAIT('{position}', 10)", 15.0).strip() == "0"
    new.sql("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only=0;", 15.0)
    new.redis("REPLICAOF NO ONE")
