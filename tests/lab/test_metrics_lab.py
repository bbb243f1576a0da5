"""A lab with Thanos and a federation: both see every region, over the observer's links, and lose what is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from datalab import eventually
from labdrill import end, pid_of
from labs import REGIONS, VIEWS
from metricslab import AGES, BY_REGION, federation, scraped, settled, stores, thanos

from blackstart.evidence.records import Reading
from blackstart.fleet import nft, power
from blackstart.fleet.model import Fleet, Power
from blackstart.lab import native
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import LabError
from blackstart.probes import load_probe, read
from blackstart.probes.base import Scope
from blackstart.schema.content import content_dir

PARTS = ("prometheus", "sidecar")


@pytest.fixture(autouse=True)
def whole_again(metrics: Fleet) -> Iterator[None]:
    yield
    for part in PARTS:
        power.restore(_power(metrics, part))
    eventually("both views are whole", lambda: settled(metrics), 60.0)


def _power(metrics: Fleet, part: str) -> Power:
    found: Power | None = getattr(metrics.regions["eu"], part).power
    assert found is not None
    return found


def test_both_views_see_every_region(metrics: Fleet) -> None:
    for view in (thanos, federation):
        said = view(metrics, BY_REGION)
        assert (said.status, said.warnings, set(said.by("region"))) == (200, [], {"us", "eu"})
        assert max(view(metrics, AGES).by("region").values()) < 5.0
    assert thanos(metrics, BY_REGION, partial_response="false").status == 200
    assert {region: store["lastError"] for region, store in stores(metrics).items()} == {"us": None, "eu": None}
    assert scraped(metrics) == {"us": 1.0, "eu": 1.0}


@pytest.mark.parametrize("part", PARTS)
def test_a_region_is_up_without_an_observer(metrics: Fleet, paths: LabPaths, part: str) -> None:
    switch = _power(metrics, part)
    region = metrics.regions["eu"].power
    assert region is not None
    for take, state in ((power.freeze, "frozen"), (power.kill, "dead")):
        take(switch)
        take(switch)
        assert (power.state(switch), power.state(region)) == (state, "up")
    with pytest.raises(LabError, match=f"{part} of eu is dead"):
        native.freeze("eu", paths, part)
    power.restore(switch)
    power.restore(switch)
    assert power.state(switch) == "up"
    power.freeze(switch)
    power.restore(switch)
    assert power.state(switch) == "up"


def test_a_sidecar_without_its_prometheus_comes_back_to_stand_by(metrics: Fleet) -> None:
    for part in PARTS:
        power.kill(_power(metrics, part))
    power.restore(_power(metrics, "sidecar"))
    assert [power.state(_power(metrics, part)) for part in PARTS] == ["dead", "up"]


def test_a_strict_store_that_is_lost_is_never_silently_left_out(metrics: Fleet) -> None:
    power.kill(_power(metrics, "sidecar"))
    said = thanos(metrics, BY_REGION)
    assert (said.status, set(said.by("region")), bool(said.warnings)) == (200, {"us"}, True)
    assert thanos(metrics, BY_REGION, partial_response="false").status == 422
    # The way around: a store that the matchers exclude is not asked.
    assert thanos(metrics, 'count(up{region="us"})', partial_response="false").series
    assert scraped(metrics) == {"us": 1.0, "eu": 1.0}


def test_a_cut_link_takes_the_region_from_their_sight_and_from_nobody_elses(metrics: Fleet) -> None:
    link = metrics.links["observer-eu"]
    nft.cut(metrics, nft.of_links([link]), "metricslab", 60.0)
    try:
        eventually("the federation loses eu", lambda: scraped(metrics)["eu"] == 0.0)
        assert set(thanos(metrics, BY_REGION).by("region")) <= {"us"}
        eventually("the querier says so", lambda: stores(metrics)["eu"]["lastError"] is not None)
        region = metrics.regions["eu"].power
        assert region is not None
        assert power.state(region) == "up"
    finally:
        nft.heal(metrics, [end.place for end in link.ends], "metricslab")


def test_they_die_with_their_region_and_come_back_with_it(metrics: Fleet, paths: LabPaths) -> None:
    native.freeze("eu", paths, "sidecar")
    native.kill("eu", paths)
    assert [power.state(_power(metrics, part)) for part in PARTS] == ["dead", "dead"]
    native.restore("eu", paths, 110.0)
    assert [power.state(_power(metrics, part)) for part in PARTS] == ["up", "up"]
    native.freeze("eu", paths)
    assert [power.state(_power(metrics, part)) for part in PARTS] == ["frozen", "frozen"]
    native.restore("eu", paths, 110.0)


@pytest.mark.parametrize("name", ["global-pods-by-region", "federated-pods", "service-up"])
def test_pods_of_before_a_crash_are_never_counted(metrics: Fleet, paths: LabPaths, name: str) -> None:
    spec = load_probe(content_dir("probes") / f"{name}.yaml")
    native.kill("eu", paths)
    native.restore("eu", paths, 110.0)
    seen: list[Reading] = []

    def counted() -> bool:
        found = {reading.key: reading for reading in asyncio.run(read(spec, Scope(metrics)))}
        seen.append(found["eu"])
        return found["eu"].value == 3

    eventually("its three pods are counted", counted, 60.0)
    eventually("and still are", lambda: counted() and len(seen) > 10, 60.0)
    print([(reading.value, reading.plain, reading.detail) for reading in seen])
    assert max(reading.value or 0 for reading in seen) == 3


def test_an_up_completes_what_observes(metrics: Fleet, paths: LabPaths) -> None:
    native.freeze("us", paths, "prometheus")
    native.kill("eu", paths, "sidecar")
    for part in ("querier", "federation"):
        end(pid_of(paths.root, "observer", part))
    native.up(REGIONS, paths, print, **VIEWS)
    eventually("both views are whole", lambda: settled(metrics))
