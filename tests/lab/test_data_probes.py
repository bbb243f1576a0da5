"""Probes and faults of stores on the lab: the truth while the link is cut, and everything back after a kill -9."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datalab import cached, eventually, placed, rows, server
from machinekit import Machine, fault, kill, running

from blackstart.evidence.records import Reading, Reason
from blackstart.fleet import nft, sql
from blackstart.fleet.model import Fleet
from blackstart.lab import native
from blackstart.lab.data import DATABASE, KINDS
from blackstart.lab.paths import LabPaths
from blackstart.probes import load_probe, read
from blackstart.probes.base import Scope
from blackstart.schema.content import content_dir

_PATHS = LabPaths(Path(__file__).resolve().parents[2] / ".blackstart/lab")


@pytest.fixture(autouse=True)
def here(data: Fleet, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "state", data.source or Path())
    yield machine
    machine.run("recover", "--all")
    for region in ("us", "eu"):
        native.restore(region, _PATHS, 110.0)
    eventually("the replicas follow", healthy, 40.0)


def healthy() -> bool:
    us, eu = server(_PATHS, "us"), server(_PATHS, "eu")
    return all(us.seen(kind).writable and not eu.seen(kind).writable and eu.follows(kind) for kind in KINDS)


class Looks:
    """The shipped probes, as a run would look with them."""

    def __init__(self, data: Fleet) -> None:
        self.scope = Scope(data)

    def all(self, name: str) -> dict[str, Reading]:
        readings = asyncio.run(read(load_probe(content_dir("probes") / f"{name}.yaml"), self.scope))
        return {reading.key: reading for reading in readings}

    def one(self, name: str) -> Reading:
        (reading,) = self.all(name).values()
        return reading


def seconds_behind(data: Fleet) -> str:
    """What the server itself says."""
    store = data.stores[DATABASE]
    with sql.connect(data, store, store.members["eu"], store.reader) as session:
        return str(session.row("SHOW ALL SLAVES STATUS")["Seconds_Behind_Master"])


def test_in_health_every_shipped_probe_has_its_value(data: Fleet) -> None:
    looks = Looks(data)
    order = placed(data)
    eventually("replicated", lambda: rows(data, "eu", "orders", order) == [order])
    eventually("no lag", lambda: looks.one("database-lag").value == 0)
    for name, value in (("database-behind", 0), ("database-unreceived", 0), ("cache-link", 1), ("cache-behind", 0)):
        eventually(name, lambda name=name, value=value: looks.one(name).value == value)  # type: ignore[misc]
    assert {key: found.value for key, found in looks.all("database-writable").items()} == {"us": 1, "eu": 0}
    assert looks.one("database-semisync").value in (0, 1)


def test_over_a_cut_link_nothing_reads_as_well(data: Fleet) -> None:
    """From the first second to the twelfth: the servers say 0 s and up for about five of them."""
    looks, link = Looks(data), data.links["us-eu"]
    placed(data)
    eventually("no lag", lambda: looks.one("database-lag").value == 0)
    assert looks.one("cache-link").value == 1
    lags: list[Reading] = []
    links: list[Reading] = []
    said: list[str] = []
    nft.cut(data, nft.of_links([link]), "dataprobes", 60.0)
    try:
        placed(data)
        began = time.monotonic()
        while time.monotonic() - began < 12:
            lags.append(looks.one("database-lag"))
            links.append(looks.one("cache-link"))
            said.append(seconds_behind(data))
            time.sleep(0.2)
        unreceived = looks.one("database-unreceived").value
    finally:
        nft.heal(data, [end.place for end in link.ends], "dataprobes")
    assert "0" in said, "else this proved nothing"
    assert [reading.value for reading in lags if reading.value == 0] == []
    assert all(reading.value is None or reading.value <= 3.5 for reading in lags)
    assert Reason.STALE in {reading.no_data for reading in lags}
    assert unreceived is not None
    assert unreceived >= 1
    # Before `grace` is over the link may be up for all that anybody can know.
    assert links[-1].value in (0, None)
    assert Reason.STALE in {reading.no_data for reading in links}
    eventually("no lag", lambda: looks.one("database-lag").value == 0, 40.0)
    eventually("the link", lambda: looks.one("cache-link").value == 1, 40.0)


def follows() -> bool:
    return server(_PATHS, "eu").follows("mariadb")


STOP: dict[str, Any] = fault("stop_replication", store="database", region="standby")
STOP_CACHE: dict[str, Any] = fault("stop_replication", store="cache", region="standby")
SEVER: dict[str, Any] = fault("sever_store", store="database", region="standby")


def test_stopped_replication_comes_back_after_a_kill(data: Fleet, here: Machine, tmp_path: Path) -> None:
    with running(here, data, tmp_path, STOP, STOP_CACHE) as process:
        order = placed(data)
        time.sleep(1)
        assert rows(data, "eu", "orders", order) == []
        assert not cached(data, "eu", order)
        assert Looks(data).one("database-lag").no_data is Reason.STALE
        kill(process)
    assert not follows()
    code, text = here.run("recover", "--dry-run")
    assert "orders-db/eu: receiver: stopped -> follows" in text, text
    code, text = here.run("recover")
    assert code == 0, text
    eventually("the order", lambda: rows(data, "eu", "orders", order) == [order] and cached(data, "eu", order))
    assert here.run("recover") == (0, "nothing to put back\n")


def test_severed_replication_is_that_alone_and_comes_back_after_a_kill(
    data: Fleet, here: Machine, tmp_path: Path
) -> None:
    with running(here, data, tmp_path, SEVER) as process:
        order = placed(data)
        eventually("the cache goes on", lambda: cached(data, "eu", order))
        assert rows(data, "eu", "orders", order) == []
        assert Looks(data).one("database-lag").no_data is Reason.STALE
        kill(process)
    code, text = here.run("recover")
    assert code == 0, text
    eventually("the order", lambda: rows(data, "eu", "orders", order) == [order], 40.0)


def test_a_killed_store_comes_back_after_a_kill(data: Fleet, here: Machine, tmp_path: Path) -> None:
    order = placed(data)
    with running(here, data, tmp_path, fault("kill_store", store="database", region="primary")) as process:
        looks = Looks(data)
        assert looks.one("database-lag").no_data is Reason.STALE
        assert looks.all("database-writable")["us"].no_data is Reason.REFUSED
        kill(process)
    code, text = here.run("recover")
    assert code == 0, text
    assert rows(data, "us", "orders", order) == [order]
    eventually("replication", follows, 40.0)
