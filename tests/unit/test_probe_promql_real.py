"""`promql` probes against real Prometheus servers: one in each of two regions, and one that federates both."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loopback import Server, fleet
from promkit import Process, counting, running

from blackstart.evidence.records import Reading, Reason
from blackstart.probes import read
from blackstart.probes.base import Scope
from blackstart.probes.promql import Spec

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")

PATIENCE = 30.0
PODS = 'sum(up{job="shop", region="$region"})'
FRESH = 'up{job="shop", region="$region"}'
RATE, COUNTER = 'sum(rate(n_total{region="$region"}[5s]))', 'n_total{region="$region"}'


@dataclass(frozen=True)
class World:
    """What runs: a shop in each region, its Prometheus, and a global one."""

    scope: Scope
    shops: dict[str, Server]
    processes: dict[str, Process]

    def look(self, **keys: Any) -> dict[str, Reading]:
        spec = Spec(probe="p", **{"query": PODS, "fresh": FRESH, "max_age": 5.0, "deadline": 5.0, **keys})
        return {reading.key: reading for reading in asyncio.run(read(spec, self.scope))}

    def until(self, good: Callable[[dict[str, Reading]], bool], **keys: Any) -> list[dict[str, Reading]]:
        """Every look until one is as it should be, that one last."""
        ends, seen = time.monotonic() + PATIENCE, []
        while not seen or not good(seen[-1]):
            assert time.monotonic() < ends, seen[-1] if seen else None
            seen.append(self.look(**keys))
            time.sleep(0.2)
        return seen


@contextmanager
def world(folder: Path, **scrape: Any) -> Iterator[World]:
    """`scrape`: what the global one's scrapes have besides."""
    with ExitStack() as stack:
        shops = {region: stack.enter_context(Server(counting)) for region in ("us", "eu")}
        base, processes, jobs = fleet().model_dump(), {}, []
        for region, shop in shops.items():
            target = {"targets": [shop.address], "labels": {"region": region}}
            job = {"job_name": "shop", "static_configs": [target]}
            address, processes[region] = stack.enter_context(running(folder / region, [job], region=region))
            base["regions"][region]["prometheus"] = {"url": f"http://{address}", "place": "here"}
            jobs.append(
                {
                    "job_name": f"federate-{region}",
                    "metrics_path": "/federate",
                    "honor_labels": True,
                    "params": {"match[]": ['{job=~".+"}']},
                    "static_configs": [{"targets": [address]}],
                    **scrape,
                }
            )
        address, processes[""] = stack.enter_context(running(folder / "global", jobs))
        named = {region: f"federate-{region}" for region in shops}
        view = {"url": f"http://{address}", "place": "here", "jobs": named}
        yield World(Scope(fleet(regions=base["regions"], federation=view)), shops, processes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("metrics")) as found:
        yield found


def well(found: dict[str, Reading]) -> bool:
    return {key: reading.value for key, reading in found.items()} == {"us": 1, "eu": 1}


def test_a_frozen_source_is_no_data_while_its_series_linger(whole: World) -> None:
    whole.until(well, at="federation")
    frozen = whole.processes["eu"]
    frozen.send_signal(signal.SIGSTOP)
    try:
        seen = whole.until(lambda found: found["eu"].no_data is not None, at="federation")[-1]
        assert seen["eu"].no_data in (Reason.STALE, Reason.PARTIAL)
        assert seen["us"].value == 1
        # A plain query still says that the pod is there, and would for five minutes.
        assert seen["eu"].plain == 1
    finally:
        frozen.send_signal(signal.SIGCONT)
    healed = whole.until(well, at="federation")[-1]
    assert healed["eu"].age is not None
    assert healed["eu"].age < 5


def test_no_reading_after_a_thaw_is_older_than_it_says(whole: World) -> None:
    """The truth changes while the source is frozen: what it said before must never come back as a value."""
    whole.until(well, at="federation")
    frozen, shop = whole.processes["eu"], whole.shops["eu"]
    frozen.send_signal(signal.SIGSTOP)
    try:
        whole.until(lambda found: found["eu"].no_data is not None, at="federation")
        shop.shut()
        time.sleep(6)
    finally:
        frozen.send_signal(signal.SIGCONT)
    try:
        after = whole.until(lambda found: found["eu"].value == 0, at="federation")
        assert {look["eu"].value for look in after} <= {None, 0.0}, [look["eu"] for look in after]
    finally:
        shop.again()


def test_a_counter_that_vanished_is_empty_and_never_zero(whole: World) -> None:
    def counted(found: dict[str, Reading]) -> bool:
        return (found["eu"].value or 0) > 50

    asked = {"query": RATE, "fresh": COUNTER}
    whole.until(counted, **asked)
    whole.shops["eu"].shut()
    try:
        gone = whole.until(lambda found: found["eu"].plain is None, **asked)
        assert all(look["eu"].value != 0 for look in gone)
        # From the first scrape that failed on the samples are ended, though the range still holds some.
        assert gone[-1]["eu"].no_data is Reason.EMPTY
        hidden = whole.look(query=f"{RATE} or vector(0)", fresh=COUNTER)["eu"]
        assert (hidden.no_data, hidden.value, hidden.plain) == (Reason.EMPTY, None, 0)
        # Its up is there, and is truly 0.
        assert whole.look()["eu"].value == 0
    finally:
        whole.shops["eu"].again()
    whole.until(counted, **asked)


def test_labels_that_the_scrape_put_over_the_regions_own_are_found(tmp_path: Path) -> None:
    """honor_labels off, and a label on the targets that says which region they are of, wrongly."""
    with ExitStack() as stack:
        found = stack.enter_context(world(tmp_path, honor_labels=False))
        asked = {"at": "federation", "query": 'sum(up{exported_job="shop"})', "fresh": 'up{exported_job="shop"}'}
        seen = found.until(lambda look: look[""].plain == 2, **asked)[-1][""]
        # The regions' own label has no rival here, so it is kept, and all is well.
        assert (seen.value, seen.no_data) == (2, None)
        # By the job that the series had at home there is nothing any more.
        assert found.look(at="federation")["us"].no_data is Reason.EMPTY


def test_pods_of_before_a_crash_are_no_data_and_then_not_counted(tmp_path: Path) -> None:
    """The Prometheus dies with its region; what is back has other addresses, and nobody ended the old series."""

    def job(pod: str) -> dict[str, Any]:
        target = {"targets": [shop.address], "labels": {"region": "us", "pod": pod}}
        return {"job_name": "shop", "static_configs": [target]}

    def until(query: str, good: Callable[[Reading], bool]) -> list[Reading]:
        base["regions"]["us"]["prometheus"] = {"url": f"http://{address}", "place": "here"}
        here = World(Scope(fleet(regions=base["regions"])), {}, {})
        asked = {"query": query, "regions": ["primary"], "max_age": 3.0}
        return [found["us"] for found in here.until(lambda found: good(found["us"]), **asked)]

    base = fleet().model_dump()
    with Server(counting) as shop:
        with running(tmp_path / "us", [job("old")]) as (address, process):
            until("sum($fresh)", lambda reading: reading.value == 1)
            process.kill()
        with running(tmp_path / "us", [job("new")]) as (address, _):
            believed = until("sum($fresh)", lambda reading: reading.value == 1 and reading.plain == 2)
            assert {reading.value for reading in believed} <= {None, 1.0}, believed
            # A dashboard shows both; a query that does not leave out what is gone has no value.
            [first] = until(PODS, lambda _: True)
            assert (first.value, first.no_data, first.plain) == (None, Reason.STALE, 2)
