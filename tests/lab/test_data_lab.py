"""Stores that replicate over the link and only over it, and come back in their roles."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from datalab import cached, eventually, everywhere, new_id, place, placed, point_to, rows, server, swap
from labdrill import kubectl
from labs import MESH, PATHS, REGIONS

from blackstart.fleet import nft
from blackstart.fleet.model import Fleet
from blackstart.lab import logins, native
from blackstart.lab.data import DATABASE, KINDS, REPLICATION, Site, source


@pytest.fixture(autouse=True)
def restored(data: Fleet) -> Iterator[None]:
    yield
    for region in ("us", "eu"):
        native.restore(region, PATHS, 110.0)
    assert _healthy()


def _healthy() -> bool:
    us, eu = server(PATHS, "us"), server(PATHS, "eu")
    return all(us.seen(kind).writable and not eu.seen(kind).writable and eu.follows(kind) for kind in KINDS)


def test_an_order_is_in_every_store_of_both_regions(data: Fleet) -> None:
    order = placed(data)
    eventually("the order is everywhere", lambda: everywhere(data, order))
    for _ in range(3):
        status, answer = place(data, order)
        assert (status, answer["committed"]) == (200, True)
    time.sleep(1)
    assert everywhere(data, order)
    assert place(data, "no*id")[0] == 400


def test_replication_runs_over_the_link_and_only_over_it(data: Fleet) -> None:
    link = data.links["us-eu"]
    nft.cut(data, nft.of_links([link]), "datalab", 60.0)
    try:
        order = placed(data)
        eventually("the event is in us", lambda: rows(data, "us", "events", order) == [order])
        time.sleep(1)
        assert rows(data, "eu", "orders", order) == []
        assert not cached(data, "eu", order)
    finally:
        nft.heal(data, [end.place for end in link.ends], "datalab")
    eventually("the order is everywhere", lambda: everywhere(data, order), 40.0)
    eventually("the replicas follow", _healthy)


def test_a_changed_configmap_moves_the_writes(data: Fleet) -> None:
    placed(data)
    swap(PATHS, "eu", "us")
    server(PATHS, "us").redis(f"REPLICAOF {server(PATHS, 'us').site.peer} 6379")
    refused = place(data, new_id())
    assert refused[1].get("committed") is not True
    point_to(data, "eu")
    begun = time.monotonic()
    order = placed(data)
    print(f"orders went to eu {time.monotonic() - begun:.1f} s after the ConfigMaps were changed")
    assert time.monotonic() < begun + 10.0
    assert (rows(data, "eu", "orders", order), rows(data, "us", "orders", order)) == ([order], [])
    eventually("eu's pods relay", lambda: rows(data, "eu", "events", order) == [order])

    # A restore of the old primary promotes nobody, and makes no second one.
    native.kill("us", PATHS)
    native.restore("us", PATHS, 110.0)
    us, eu = server(PATHS, "us"), server(PATHS, "eu")
    assert [us.seen(kind).writable for kind in KINDS] == [False, False]
    assert [eu.seen(kind).writable for kind in KINDS] == [True, True]
    placed(data)

    # Home again: us follows, then leads.
    us.sql(_follow(us.site))
    us.redis(f"REPLICAOF {us.site.peer} 6379")
    eventually("us follows", lambda: all(us.follows(kind) for kind in KINDS))
    swap(PATHS, "us", "eu")
    eu.sql(_follow(eu.site))
    eu.redis(f"REPLICAOF {eu.site.peer} 6379")
    point_to(data, "us")
    order = placed(data)
    eventually("the order is everywhere", lambda: everywhere(data, order))
    eventually("the replicas follow", _healthy)


# Of the primary's region the next test says as much.
@pytest.mark.parametrize("region", [pytest.param("us", marks=pytest.mark.full), "eu"])
def test_a_region_that_comes_back_has_its_part_in_replication(data: Fleet, region: str) -> None:
    before = placed(data)
    eventually("the order is everywhere", lambda: everywhere(data, before))
    native.kill(region, PATHS)
    if region == "us":
        assert place(data, new_id())[1].get("committed") is not True
    else:
        placed(data)
    native.restore(region, PATHS, 110.0)
    assert server(PATHS, "us").seen("mariadb").writable
    order = placed(data)
    eventually("both orders are everywhere", lambda: everywhere(data, order) and everywhere(data, before))
    eventually("the replicas follow", _healthy)


def test_both_regions_come_back_the_replica_first(data: Fleet) -> None:
    order = placed(data)
    eventually("the order is everywhere", lambda: everywhere(data, order))
    for region in ("us", "eu"):
        native.kill(region, PATHS)
    native.restore("eu", PATHS, 110.0)
    assert not any(server(PATHS, "eu").seen(kind).writable for kind in KINDS)
    native.restore("us", PATHS, 110.0)
    eventually("the replicas follow", _healthy)
    assert everywhere(data, order)


@pytest.mark.parametrize("region", ["us", "eu"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_store_dies_and_comes_back(data: Fleet, region: str, kind: str) -> None:
    native.kill(region, PATHS, kind)
    native.kill(region, PATHS, kind)
    assert native.power_state(region, PATHS, kind) == "dead"
    assert native.power_state(region, PATHS) == "up"
    if (region, kind) == ("us", "mariadb"):
        # Unknown right after the end of its connections; then nobody is there to write to.
        answers = [place(data, new_id())[1].get("committed") for _ in range(2)]
        assert True not in answers
    native.restore(region, PATHS, 110.0, kind)
    assert native.power_state(region, PATHS, kind) == "up"
    eventually("the replicas follow", _healthy)
    order = placed(data)
    eventually("the order is everywhere", lambda: everywhere(data, order))


def test_a_frozen_region_goes_on_in_its_part(data: Fleet) -> None:
    native.freeze("us", PATHS)
    native.restore("us", PATHS, 110.0)
    eventually("the replicas follow", _healthy)
    placed(data)


def test_completing_a_lab_settles_its_stores(data: Fleet) -> None:
    native.kill("us", PATHS, "redis")
    server(PATHS, "eu").sql("STOP SLAVE;", 15.0)
    native.up(REGIONS, PATHS, print, **MESH)
    eventually("the replicas follow", _healthy)


def test_a_read_only_primary_is_a_sure_no(data: Fleet) -> None:
    placed(data)
    us = server(PATHS, "us")
    us.sql("SET GLOBAL read_only=1;")
    try:
        order = new_id()
        status, answer = place(data, order)
        assert (status, answer.get("committed", False)) == (503, False)
        assert rows(data, "us", "orders", order) == []
    finally:
        us.sql("SET GLOBAL read_only=0;")
    placed(data)


def test_no_password_is_in_a_command_line_a_log_or_the_fleet(data: Fleet) -> None:
    passwords = [file.read_text().strip() for file in PATHS.secrets.iterdir()]
    assert len(passwords) == 8
    texts = [_command_line(pid) for pid in Path("/proc").glob("[0-9]*")]
    texts += [file.read_bytes() for file in PATHS.root.glob("*/logs/*.log")]
    texts.append(PATHS.fleet.read_bytes())
    found = json.loads(kubectl(data.regions["us"], "-n", "production", "get", "deployments", "-o", "json"))
    texts.append(json.dumps(found).encode())
    for password in passwords:
        assert not any(password.encode() in text for text in texts)
    assert {file.stat().st_mode & 0o777 for file in PATHS.secrets.iterdir()} == {0o600}


def test_stores_of_a_region_belong_to_it(data: Fleet) -> None:
    for region in native.load(PATHS).regions:
        pids = region.group.pids()
        assert {region.processes.all()[kind].pid for kind in KINDS} <= pids
    assert data.stores[DATABASE].primary == "us"


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""  # it ended while we looked


def _follow(site: Site) -> str:
    """The old primary becomes a replica: nothing was written to it since the switch."""
    source_of = source(site, logins.read(PATHS, "mariadb")[REPLICATION])
    position = "SET GLOBAL gtid_slave_pos=@@global.gtid_binlog_pos;"
    return f"SET GLOBAL read_only=1; {position} {source_of} START SLAVE;"
