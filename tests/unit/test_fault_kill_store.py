"""`kill-store` on a real Redis: the server dies, the region's API does not, and it comes back with its data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from storefaultkit import Stores, stores
from storekit import wait_until

from blackstart.evidence.records import FaultEvent, FaultState
from blackstart.faults.base import FaultError
from blackstart.faults.changes import Change
from blackstart.faults.inject import Ineffective, inject, restore
from blackstart.faults.kill_store import FAULT

ARGS = {"store": "cache", "region": "primary"}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Stores]:
    with stores(tmp_path, "redis") as found:
        us = found.cache.us
        assert us.process is not None
        pid = f"{us.folder}/pid"
        Path(pid).write_text(str(us.process.pid))
        conf = f"{us.folder}/redis.conf"
        found.power(
            "cache",
            "us",
            # The test's own child stays a zombie until it is waited for.
            kill=f"kill -9 $(cat {pid}); while redis-cli -p {us.port} ping >/dev/null 2>&1; do sleep 0.05; done",
            restore=f"redis-cli -p {us.port} ping 2>/dev/null || "
            f"(setsid redis-server {conf} >/dev/null 2>&1 & echo $! > {pid})",
            state=f"redis-cli -p {us.port} ping >/dev/null 2>&1 && echo up || echo dead",
        )
        yield found
        with us.client() as client:
            client.shutdown(nosave=True)


def test_it_dies_and_comes_back_with_its_data(here: Stores) -> None:
    with here.cache.us.client() as us:
        us.set("order:1", "x")
    inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    (confirmed,) = [e for e in here.events if isinstance(e, FaultEvent) and e.state is FaultState.CONFIRMED]
    assert "state dead; redis 127.0.0.1" in confirmed.detail
    assert confirmed.t0 is not None
    assert here.cache.eu.info()["role"] == "slave", "the other one is left alone"
    assert FAULT.changes(here.fleet, here.entry().undo) == [Change("cache/us", "power", "dead", "up")]
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    with here.cache.us.client() as us:
        assert us.get("order:1") == "x"
    wait_until("replication", lambda: here.cache.eu.info()["master_link_status"] == "up")


def test_a_server_that_goes_on_answering_is_ineffective(here: Stores) -> None:
    up = f"redis-cli -p {here.cache.us.port} ping"
    flag = here.folder / "flag"
    here.power("cache", "us", f"echo dead > {flag}", f"rm -f {flag}", f"{up} >/dev/null; cat {flag} || echo up")
    with pytest.raises(Ineffective, match="says dead, but a server answers at its address"):
        inject(FAULT, here.fleet, ARGS, here.context())
    assert restore(here.entry(), here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED


def test_one_that_is_dead_already_is_refused(here: Stores) -> None:
    here.power("cache", "us", "true", "true", "echo dead")
    with pytest.raises(FaultError, match="its state is 'dead', not 'up'"):
        inject(FAULT, here.fleet, ARGS, here.context())


def test_a_member_without_power_is_refused_with_the_way_out(here: Stores) -> None:
    with pytest.raises(FaultError, match=r"stores\.cache\.members\.eu has no `power`.*delete_pods"):
        inject(FAULT, here.fleet, {"store": "cache", "region": "standby"}, here.context())
