"""Drills on the observers, with a real Thanos and federation: no view may make a number of a region that it lost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labdrill import ROOT, Ran, content, edited, run_drill, settle
from metricslab import federation, scraped, stores, thanos, whole

from blackstart.evidence.reader import EVIDENCE, read, verify
from blackstart.evidence.records import Reading
from blackstart.fleet.model import Fleet
from blackstart.schema.result import Verdict
from blackstart.schema.result_views import ViewResult

HOLD = 18
# What Prometheus saw before a crash lingers in its answers, and earlier tests kill regions.
PODS = 'sum by (region) (up{job="user-service"} and time() - timestamp(up{job="user-service"}) < 5)'
ALL_PODS = 'time() - timestamp(up{job="user-service"})'
QUICK = {"phases.hold": f"{HOLD}s", "phases.baseline": "4s"}
VARIANTS = [
    pytest.param("metrics-region-loss", id="sidecar-killed"),
    pytest.param("metrics-sidecar-freeze", marks=pytest.mark.full),
    pytest.param("metrics-store-blackhole", marks=pytest.mark.full),
    pytest.param("metrics-prometheus-freeze", marks=pytest.mark.full),
    pytest.param("metrics-prometheus-kill", marks=pytest.mark.full),
]


@pytest.fixture(autouse=True)
def _whole_again(metrics: Fleet) -> Iterator[None]:
    _wait(metrics)
    yield
    settle(metrics)
    _wait(metrics)


def _wait(metrics: Fleet) -> None:
    ends = time.monotonic() + 40
    while lacking := _lacking(metrics):
        assert time.monotonic() < ends, lacking
        time.sleep(0.5)


def _lacking(metrics: Fleet) -> str:
    """What hides a pod from Thanos or the federation; empty when nothing does."""
    for name, view in {"Thanos": thanos, "the federation": federation}.items():
        if not whole(metrics, view):
            return f"{name} is not whole"
        if (pods := view(metrics, PODS).by("region")) != dict.fromkeys(metrics.regions, 3.0):
            return f"{name} counts pods: {pods}, {view(metrics, ALL_PODS).series}"
    if set((ups := scraped(metrics)).values()) != {1.0}:
        return f"federated: {ups}"
    errors = {region: store["lastError"] for region, store in stores(metrics).items()}
    return f"stores: {errors}" if any(errors.values()) else ""


def drill(name: str | Path, fleet: Path | None, folder: Path, **keys: Any) -> Ran:
    settings = {**QUICK, **keys.pop("settings", {})}
    return run_drill(name, fleet or Path(), folder / "out", settings=settings, **keys)


def views(ran: Ran) -> dict[str, ViewResult]:
    found = {f"{view.probe} {view.key}".strip(): view for view in ran.result.views}
    for name, view in found.items():
        plain = f"plain query wrong {view.plain_wrong_s} s"
        print(f"{name}: wrong {view.wrong_s} of {view.watched_s} s, no data {view.silent_s} s, {plain}")
    return found


def said(ran: Ran) -> str:
    return f"{ran.result.sentence}\n" + "\n".join(ran.result.reasons)


def readings(ran: Ran, probe: str) -> list[Reading]:
    bodies = (line.body for line in read(ran.folder / EVIDENCE))
    return [body for body in bodies if isinstance(body, Reading) and body.probe == probe]


@pytest.mark.parametrize("experiment", VARIANTS)
def test_a_region_whose_metrics_are_lost_is_no_data_and_never_a_number(
    metrics: Fleet, tmp_path: Path, experiment: str
) -> None:
    ran = drill("metrics-region-loss", metrics.source, tmp_path, settings={"experiment": experiment})
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), said(ran)
    found = views(ran)
    assert {view.wrong_s for view in found.values()} == {0}
    assert found["global-pods"].silent_s > HOLD / 2
    # One question for each region: the one that is not lost goes on being answered.
    assert found["global-pods-by-region us"].silent_s < HOLD / 2
    # Half of the pods, with HTTP 200: what a dashboard shows.
    assert found["global-pods"].plain_wrong_s > 3
    assert verify(ran.folder / EVIDENCE).problem is None
    assert "What the view claimed, and what was so" in (ran.folder / "report.html").read_text()


def test_what_a_federation_goes_on_telling_is_no_data(metrics: Fleet, tmp_path: Path) -> None:
    ran = drill("federation-loss", metrics.source, tmp_path)
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), said(ran)
    found = views(ran)
    assert {view.wrong_s for view in found.values()} == {0}
    assert found["federated-pods eu"].plain_wrong_s > 3
    assert found["federated-pods us"].silent_s < 3


@pytest.mark.full
def test_a_view_that_believes_what_lingers_fails_the_drill(metrics: Fleet, tmp_path: Path) -> None:
    """A federation that is said to be an ordinary Prometheus, and a probe that asks for no age."""

    def gullible(fleet: dict[str, Any]) -> None:
        fleet["prometheus"] = {**fleet["federation"], "jobs": {}}

    def careless(probe: dict[str, Any]) -> None:
        probe.update(at="fleet", max_age="10m")

    file = content("drills", "federation-loss", tmp_path, lambda _: None)
    content("probes", "federated-pods", tmp_path, careless)
    ran = drill(file, edited(metrics, tmp_path, gullible), tmp_path)
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), said(ran)
    assert "federated-pods wrong for <= 0 s" in said(ran)
    assert views(ran)["federated-pods eu"].wrong_s > 3


@pytest.mark.full
def test_a_partial_answer_with_http_200_keeps_no_bound(metrics: Fleet, tmp_path: Path) -> None:
    """Three of six pods meet `>= 3`; but nobody saw three of six, they saw one region."""
    bound = "{kind: reading, service: frontend, probe: global-pods, bound: '>= 3'}"
    felt = "{kind: availability, service: frontend, objective: 99%}"
    settings = {"objectives": f"[{felt}, {bound}]", "probes": "[global-pods]"}
    ran = drill("metrics-region-loss", metrics.source, tmp_path, settings=settings)
    assert (ran.result.verdict, ran.code) == (Verdict.INCONCLUSIVE, 12), said(ran)
    assert "no data: probe global-pods" in said(ran)
    lost = [reading for reading in readings(ran, "global-pods") if reading.no_data]
    assert {reading.no_data for reading in lost} <= {"partial", "timeout", "refused"}
    assert 3.0 in {reading.plain for reading in lost}


@pytest.mark.full
def test_a_store_that_comes_back_with_old_data_is_not_believed(metrics: Fleet, tmp_path: Path) -> None:
    """The standby loses a pod while its Prometheus stands still; when that goes on, it first tells of before."""

    def a_pod_is_lost(experiment: dict[str, Any]) -> None:
        faults = {"type": "python", "module": "blackstart.activities.faults", "func": "scale"}
        provider = {**faults, "arguments": {"service": "frontend", "region": "standby", "replicas": 2}}
        experiment["method"] = [{"type": "action", "name": "a pod is lost", "provider": provider}]

    content("experiments", "metrics-region-loss", tmp_path, a_pod_is_lost)
    file = content("drills", "metrics-region-loss", tmp_path, lambda d: d["probes"].append("federated-pods"))
    honest = "{kind: honest, service: frontend, truth: pods, lag: 8s, probe: %s}"
    felt = "{kind: availability, service: frontend, objective: 99%}"
    asked = [honest % name for name in ("global-pods", "global-pods-by-region", "federated-pods")]
    thaws: list[threading.Thread] = []

    def freeze_for_a_while() -> None:
        part(metrics, "freeze")
        thaws.append(threading.Timer(14.0, part, (metrics, "restore")))
        thaws[0].start()

    try:
        settings = {"objectives": f"[{', '.join([felt, *asked])}]", "phases.hold": "30s"}
        ran = drill(file, metrics.source, tmp_path, settings=settings, during=("inject", freeze_for_a_while))
    finally:
        for thaw in thaws:
            thaw.join()
        part(metrics, "restore")
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), said(ran)
    found = views(ran)
    assert {view.wrong_s for view in found.values()} == {0}
    assert found["federated-pods eu"].plain_wrong_s > 3
    # It came back within the hold, and was believed again.
    told = [reading.value for reading in readings(ran, "federated-pods") if reading.key == "eu"]
    assert 2.0 in told
    assert any(reading.no_data for reading in readings(ran, "federated-pods") if reading.key == "eu")


def part(metrics: Fleet, command: str) -> None:
    """Do something to the Prometheus of eu, past the drill."""
    power = metrics.regions["eu"].prometheus
    assert power is not None
    assert power.power is not None
    argv = power.power.freeze if command == "freeze" else power.power.restore
    subprocess.run(argv or [sys.executable, "-c", "raise SystemExit(1)"], cwd=ROOT, check=True, timeout=120)
