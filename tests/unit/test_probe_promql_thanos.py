"""`promql` probes against a real Thanos over two real Prometheus servers. Only where the lab has built one."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loopback import Server, fleet, free_address
from promkit import Process, counting, running, started

from blackstart.evidence.records import Reading, Reason
from blackstart.fleet.model import Fleet
from blackstart.lab.toolchain import GLOBAL_METRICS, binary, find_go, go_version
from blackstart.probes import promql_client, read
from blackstart.probes.base import Scope
from blackstart.probes.promql import Spec

PATIENCE = 40.0
ALL = {"query": 'sum(up{job="shop"})', "fresh": 'up{job="shop"}'}
EACH = {"query": 'sum(up{job="shop", region="$region"})', "fresh": 'up{job="shop", region="$region"}'}


def thanos() -> Path | None:
    found = binary(GLOBAL_METRICS[0], go_version()) if find_go() else None
    return found if found and found.exists() else None


pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(thanos() is None, reason="no Thanos: blackstart lab build --global-metrics"),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed"),
]


@dataclass(frozen=True)
class World:
    """`strict` and `loose` are queriers over the same stores, as fleets."""

    strict: Fleet
    loose: Fleet
    sidecars: dict[str, Process]
    prometheus: dict[str, Process]
    shops: dict[str, Server]

    def look(self, fleet: Fleet, **keys: Any) -> dict[str, Reading]:
        spec = Spec(probe="p", at="fleet", max_age=5.0, deadline=5.0, **{**ALL, **keys})
        return {reading.key: reading for reading in asyncio.run(read(spec, Scope(fleet)))}

    def until(
        self, good: Callable[[dict[str, Reading]], bool], fleet: Fleet, **keys: Any
    ) -> list[dict[str, Reading]]:
        """Every look until one is as it should be, that one last."""
        ends, seen = time.monotonic() + PATIENCE, []
        while not seen or not good(seen[-1]):
            assert time.monotonic() < ends, seen[-1] if seen else None
            seen.append(self.look(fleet, **keys))
            time.sleep(0.1)
        return seen


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    program = str(thanos())
    with ExitStack() as stack:
        shops = {region: stack.enter_context(Server(counting)) for region in ("us", "eu")}
        stores, sidecars, servers = {}, {}, {}
        for region, shop in shops.items():
            job = {"job_name": "shop", "static_configs": [{"targets": [shop.address], "labels": {"region": region}}]}
            folder, stores[region] = tmp_path / region, free_address()
            address, servers[region] = stack.enter_context(running(folder, [job], region=region))
            side = [program, "sidecar", f"--prometheus.url=http://{address}", f"--tsdb.path={folder}/data"]
            side += ["--prometheus.get_config_interval=5s", "--prometheus.get_config_timeout=3s"]
            side += [f"--grpc-address={stores[region]}", f"--http-address={free_address()}"]
            sidecars[region] = stack.enter_context(started(tmp_path, f"sidecar-{region}", side))
        views = []
        for strict in (True, False):
            endpoints = [{"address": store, "strict": strict} for store in stores.values()]
            config, address = tmp_path / f"{strict}.json", free_address()
            config.write_text(json.dumps({"endpoints": endpoints}))
            query = [program, "query", f"--http-address={address}", f"--grpc-address={free_address()}"]
            query += ["--store.response-timeout=3s", "--query.timeout=15s", f"--endpoint.sd-config-file={config}"]
            stack.enter_context(started(tmp_path, f"querier-{strict}", query))
            view = {"url": f"http://{address}", "place": "here", "kind": "thanos", "stores": stores}
            views.append(fleet(prometheus=view))
        found = World(views[0], views[1], sidecars, servers, shops)
        for seen in views:
            found.until(lambda look: look[""].value == 2, seen)
        yield found


def test_a_sidecar_that_died_is_never_a_number(world: World) -> None:
    world.sidecars["eu"].kill()
    world.sidecars["eu"].wait()
    strict = world.look(world.strict)[""]
    assert (strict.no_data, strict.plain) == (Reason.PARTIAL, 1), strict
    each = world.look(world.strict, **EACH)
    assert (each["us"].value, each["eu"].no_data, each["eu"].plain) == (1, Reason.PARTIAL, None)
    # A store that is not strict vanishes: HTTP 200, one region, not one warning. The list of stores tells.
    view = world.loose.prometheus
    assert view is not None

    def unsaid(look: dict[str, Reading]) -> bool:
        return promql_client.query(view, ALL["query"], time.monotonic() + 5).warnings == ()

    silent = world.until(unsaid, world.loose)
    silent.append(world.look(world.loose))
    assert {look[""].value for look in silent} == {None}
    assert silent[-1][""].plain == 1
    assert "the store of eu" in silent[-1][""].detail


def test_a_sidecar_that_hangs_is_never_a_number(world: World) -> None:
    world.sidecars["eu"].send_signal(signal.SIGSTOP)
    try:
        ends, seen = time.monotonic() + 14, []
        while time.monotonic() < ends:
            seen.append(world.look(world.strict)[""])
        assert {reading.value for reading in seen} == {None}, seen
        assert {reading.no_data for reading in seen} <= {Reason.PARTIAL, Reason.TIMEOUT, Reason.REFUSED}
        assert 1 in {reading.plain for reading in seen}
    finally:
        world.sidecars["eu"].send_signal(signal.SIGCONT)


def test_a_prometheus_that_thaws_behind_its_sidecar_never_tells_of_before(world: World) -> None:
    frozen, shop = world.prometheus["eu"], world.shops["eu"]
    frozen.send_signal(signal.SIGSTOP)
    try:
        assert world.look(world.strict)[""].value is None
        shop.shut()
        time.sleep(8)
        assert world.look(world.strict)[""].value is None
    finally:
        frozen.send_signal(signal.SIGCONT)
    after = world.until(lambda look: look["eu"].value == 0, world.strict, **EACH)
    assert {look["eu"].value for look in after} <= {None, 0.0}, [look["eu"] for look in after]
