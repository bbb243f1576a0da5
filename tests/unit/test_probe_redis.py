"""`redis` probes against a real, replicated Redis; what they say while the link is cut."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from loopback import black_hole
from storekit import Pair, Redis, fleet_file, redis_pair, wait_until

from blackstart.evidence.records import Reading, Reason
from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet
from blackstart.probes import read
from blackstart.probes.base import Scope
from blackstart.probes.redis import Spec


def spec(measure: str = "link", **keys: Any) -> Spec:
    usual = {"deadline": 10.0, "grace": 2.0}
    return Spec(probe=f"p-{measure}", store="cache", measure=measure, **{**usual, **keys})


def look(scope: Scope, measure: str = "link", **keys: Any) -> Reading:
    (reading,) = asyncio.run(read(spec(measure, **keys), scope))
    return reading


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair[Redis]]:
    with redis_pair(tmp_path / "r") as found:
        yield found


@pytest.fixture
def scope(pair: Pair[Redis], tmp_path: Path) -> Scope:
    return Scope(with_store(fleet_file(tmp_path, cache=pair)))


def with_store(file: Path, **store: Any) -> Fleet:
    document = yaml.safe_load(file.read_text())
    document["stores"]["cache"].update(store)
    file.write_text(yaml.safe_dump(document))
    return load_fleet(file)


def test_all_is_well(pair: Pair[Redis], scope: Scope) -> None:
    with pair.us.client() as us:
        us.set("order:1", "x")
    wait_until("the key", lambda: look(scope, "behind").value == 0)
    assert (look(scope).key, look(scope).value) == ("eu", 1)
    heard = look(scope, "heard").value
    assert heard is not None
    assert heard <= 5
    wait_until("replicas", lambda: look(scope, "replicas").value == 1)
    both = asyncio.run(read(spec("writable"), scope))
    assert {reading.key: reading.value for reading in both} == {"us": 1, "eu": 0}


def test_over_a_cut_link_the_link_is_stale_while_the_server_says_up(pair: Pair[Redis], tmp_path: Path) -> None:
    for server in (pair.us, pair.eu):
        with server.client() as client:
            client.config_set("repl-timeout", 60)
    scope = Scope(with_store(fleet_file(tmp_path, cache=pair)))
    wait_until("replicas", lambda: look(scope, "replicas").value == 1)
    assert look(scope).value == 1
    pair.wire.cut()
    cut = time.monotonic()
    with pair.us.client() as us:
        us.set("order:2", "x")
    while look(scope).value is not None:
        assert time.monotonic() - cut < 30
        time.sleep(0.1)
    reading = look(scope)
    assert reading.no_data is Reason.STALE
    assert "the replica says up, but" in reading.detail
    assert pair.eu.info()["master_link_status"] == "up", "what a naive probe would have read"
    behind, heard = look(scope, "behind").value, look(scope, "heard").value
    assert behind is not None
    assert behind > 0
    assert heard is not None
    assert heard >= 1
    wait_until("the primary's own doubt", lambda: look(scope, "replicas").value == 0)
    assert pair.us.info()["connected_slaves"] == 1, "what a naive probe would have read"
    pair.wire.heal()
    wait_until("the link", lambda: look(scope).value == 1)


def test_a_first_look_over_a_cut_link_is_stale(pair: Pair[Redis], scope: Scope) -> None:
    pair.wire.cut()
    with pair.us.client() as us:
        us.set("order:2", "x")
    reading = look(scope)
    assert reading.no_data is Reason.STALE
    assert "since the first look" in reading.detail


def test_a_dead_primary_leaves_the_link_down_and_the_distance_unknown(pair: Pair[Redis], scope: Scope) -> None:
    pair.us.kill()
    wait_until("the link", lambda: look(scope).value == 0)
    assert look(scope, "behind").no_data is Reason.STALE
    assert "its source us does not answer" in look(scope, "behind").detail
    assert look(scope, "heard").value is not None


def test_a_silent_primary_is_stale_within_the_deadline(pair: Pair[Redis], tmp_path: Path) -> None:
    with black_hole() as address:
        members = {**pair.document["members"], "us": {**pair.document["members"]["us"], "address": address}}
        scope = Scope(with_store(fleet_file(tmp_path, cache=pair), members=members))
        assert look(scope, deadline=2.0).no_data is Reason.STALE


def test_a_dead_replica_is_refused(pair: Pair[Redis], scope: Scope) -> None:
    pair.eu.kill()
    for measure in ("link", "behind", "heard"):
        assert look(scope, measure).no_data is Reason.REFUSED
    assert look(scope, "writable", regions=["standby"]).no_data is Reason.REFUSED


def test_after_a_promotion_it_follows_nobody_and_takes_writes(pair: Pair[Redis], scope: Scope) -> None:
    with pair.eu.client() as eu:
        eu.replicaof("NO", "ONE")
    assert look(scope).no_data is Reason.EMPTY
    assert look(scope, "writable", regions=["standby"]).value == 1


def test_a_replica_that_takes_writes_is_writable(pair: Pair[Redis], scope: Scope) -> None:
    with pair.eu.client() as eu:
        eu.config_set("replica-read-only", "no")
    assert look(scope, "writable", regions=["standby"]).value == 1


def test_two_histories_are_no_number(pair: Pair[Redis], scope: Scope) -> None:
    """As after a restart of the primary that the replica has not heard of."""
    pair.wire.cut()
    pair.us.kill()
    pair.us.start()
    reading = look(scope, "behind")
    assert reading.no_data is Reason.MALFORMED
    assert "different histories" in reading.detail


def test_the_rights_of_the_manual_are_enough(pair: Pair[Redis], tmp_path: Path) -> None:
    for server in (pair.us, pair.eu):
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "probe", "on", ">probe-Pw", "-@all", "+info")
    (tmp_path / "pw").write_text("probe-Pw")
    login = {"user": "probe", "password": f"${{file:{tmp_path}/pw}}"}
    scope = Scope(with_store(fleet_file(tmp_path, cache=pair), reader=login))
    for measure in ("link", "behind", "heard", "replicas"):
        assert look(scope, measure).value is not None, measure
    (tmp_path / "pw").write_text("wr0ng-Pw")
    reading = look(scope)
    assert reading.no_data is Reason.UNAUTHORISED
    assert "wr0ng" not in reading.detail
