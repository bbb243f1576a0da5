"""The situations in which a drill would like to say PASS and must not. Each runs on real clusters."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from labdrill import ROOT, Ran, content, edited, kubectl, pid_of, run_drill, settle, stopped

from blackstart.fleet.model import Fleet
from blackstart.fleet.places import inside
from blackstart.lab.edge import edge_config
from blackstart.lab.parts import find_envoy
from blackstart.lab.paths import LabPaths
from blackstart.schema.result import Verdict


@pytest.fixture(autouse=True)
def _whole_again(lab: Fleet) -> Iterator[None]:
    yield
    settle(lab)


@contextmanager
def scaled(lab: Fleet, region: str, replicas: int) -> Iterator[None]:
    """The service at another size, then at 3 again."""
    size = ["-n", "production", "scale", "deployment/user-service"]
    kubectl(lab.regions[region], *size, f"--replicas={replicas}")
    try:
        yield
    finally:
        kubectl(lab.regions[region], *size, "--replicas=3")


def said(ran: Ran) -> str:
    return f"{ran.result.sentence}\n" + "\n".join(ran.result.reasons)


# -- nothing was really broken


def test_a_deployment_that_serves_nothing(lab: Fleet, tmp_path: Path) -> None:
    decoy = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "decoy", "namespace": "production"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "decoy"}},
            "template": json.loads(
                kubectl(lab.regions["us"], "-n", "production", "get", "deployment/user-service", "-o", "json")
            )["spec"]["template"],
        },
    }
    decoy["spec"]["template"]["metadata"]["labels"] = {"app": "decoy"}  # type: ignore[index]  # plain JSON
    kubectl(lab.regions["us"], "apply", "-f", "-", stdin=json.dumps(decoy))

    def serve_by_decoy(fleet: dict[str, Any]) -> None:
        fleet["services"]["user-service"]["workloads"]["us"]["deployment"] = "decoy"

    try:
        kubectl(lab.regions["us"], "-n", "production", "rollout", "status", "deployment/decoy", "--timeout=60s")
        ran = run_drill("service-failover", edited(lab, tmp_path, serve_by_decoy), tmp_path / "out")
        assert (
            kubectl(
                lab.regions["us"], "-n", "production", "get", "deployment/decoy", "-o", "jsonpath={.spec.replicas}"
            )
            == "1"
        )
    finally:
        kubectl(lab.regions["us"], "-n", "production", "delete", "deployment/decoy", "--wait=true")
    assert (ran.result.verdict, ran.code) == (Verdict.INVALID, 12), said(ran)
    assert ran.injected()


def test_a_cut_with_a_second_path(lab: Fleet, tmp_path: Path) -> None:
    def by_the_back_door(fleet: dict[str, Any]) -> None:
        # The management network leads from us to eu as well, and the cut does not touch it.
        fleet["links"]["us-eu"]["paths"].append({"place": "us", "address": "198.18.0.12:30080"})

    ran = run_drill("link-loss", edited(lab, tmp_path, by_the_back_door), tmp_path / "out")
    assert (ran.result.verdict, ran.code) == (Verdict.INVALID, 12), said(ran)
    assert "198.18.0.12:30080" in said(ran)


# -- Prometheus is gone, and an objective needs it


def test_prometheus_stopped_before(lab: Fleet, paths: LabPaths, tmp_path: Path) -> None:
    with stopped(pid_of(paths.root, "eu", "prometheus")):
        ran = run_drill("link-loss", lab.source or Path(), tmp_path / "out")
    assert (ran.result.verdict, ran.code) == (Verdict.INCONCLUSIVE, 12), said(ran)
    assert "service-up" in said(ran)


def test_prometheus_stopped_during(lab: Fleet, paths: LabPaths, tmp_path: Path) -> None:
    prometheus = pid_of(paths.root, "eu", "prometheus")
    with ExitStack() as stack:
        stop = ("hold", lambda: stack.enter_context(stopped(prometheus)))
        ran = run_drill("link-loss", lab.source or Path(), tmp_path / "out", during=stop)
    assert (ran.result.verdict, ran.code) == (Verdict.INCONCLUSIVE, 12), said(ran)
    assert "service-up" in said(ran)


# -- no failover


def test_the_survivor_has_no_capacity(lab: Fleet, tmp_path: Path) -> None:
    size = ["-n", "production", "set", "env", "deployment/user-service"]
    rollout = ["-n", "production", "rollout", "status", "deployment/user-service", "--timeout=60s"]
    # Enough for the probes that look at eu directly, not for the clients of us.
    kubectl(lab.regions["eu"], *size, "CAPACITY=8")
    try:
        kubectl(lab.regions["eu"], *rollout)
        ran = run_drill(
            "service-failover",
            lab.source or Path(),
            tmp_path / "out",
            settings={"objectives.0.objective": "3s", "client.interval": "10ms"},
        )
    finally:
        kubectl(lab.regions["eu"], *size, "CAPACITY-")
        kubectl(lab.regions["eu"], *rollout)
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), said(ran)
    assert "not recovered after" in said(ran)


def test_an_edge_that_does_not_fail_over(lab: Fleet, paths: LabPaths, tmp_path: Path) -> None:
    port = 18099
    with stubborn_edge(lab, paths, port):

        def through_it(fleet: dict[str, Any]) -> None:
            entry = fleet["services"]["user-service"]["entry"]
            entry["url"] = entry["url"].replace(":8080", f":{port}")

        ran = run_drill("service-failover", edited(lab, tmp_path, through_it), tmp_path / "out")
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), said(ran)
    assert "not recovered after" in said(ran)
    assert ran.result.clock["user-service"].recovered_s is None


# -- sick, silent, or the wrong place


def test_the_survivor_is_sick_before(lab: Fleet, tmp_path: Path) -> None:
    with scaled(lab, "eu", 0):
        ran = run_drill("service-failover", lab.source or Path(), tmp_path / "out")
    assert (ran.result.verdict, ran.code) == (Verdict.INVALID, 12), said(ran)
    assert not ran.injected()
    assert "eu" in said(ran)


def test_a_client_that_never_gets_an_answer(lab: Fleet, tmp_path: Path) -> None:
    def nobody_there(fleet: dict[str, Any]) -> None:
        entry = fleet["services"]["user-service"]["entry"]
        entry["url"] = entry["url"].replace(":8080", ":8099")

    ran = run_drill("service-failover", edited(lab, tmp_path, nobody_there), tmp_path / "out")
    assert (ran.result.verdict, ran.code) == (Verdict.INVALID, 12), said(ran)
    assert not ran.injected()


def test_swapped_contexts(lab: Fleet, tmp_path: Path) -> None:
    def swap(fleet: dict[str, Any]) -> None:
        us, eu = fleet["regions"]["us"]["cluster"], fleet["regions"]["eu"]["cluster"]
        for key in ("kubeconfig", "context"):
            us[key], eu[key] = eu[key], us[key]

    ran = run_drill("service-failover", edited(lab, tmp_path, swap), tmp_path / "out")
    assert (ran.result.verdict, ran.code) == (Verdict.INVALID, 12), said(ran)
    assert not ran.injected()
    assert "UID" in said(ran)


# -- the action itself failed


def test_the_api_refuses_the_action(lab: Fleet, tmp_path: Path) -> None:
    def wrong_name(experiment: dict[str, Any]) -> None:
        for activity in [*experiment["method"], *experiment["rollbacks"]]:
            if activity["provider"]["func"] == "scale_deployment":
                activity["provider"]["arguments"]["name"] = "no-such-service"

    content("experiments", "service-failover-chaosk8s", tmp_path, wrong_name)

    def by_chaosk8s(drill: dict[str, Any]) -> None:
        drill["experiment"] = "service-failover-chaosk8s"

    drill = content("drills", "service-failover", tmp_path, by_chaosk8s)
    ran = run_drill(drill, lab.source or Path(), tmp_path / "out")
    assert (ran.result.verdict, ran.code) == (Verdict.INVALID, 12), said(ran)


# -- a short outage between two looks


def test_one_second_of_outage_is_counted(lab: Fleet, paths: LabPaths, tmp_path: Path) -> None:
    edge = pid_of(paths.root, "edge", "envoy")

    def one_second() -> None:
        def outage() -> None:
            time.sleep(2)
            with stopped(edge):
                time.sleep(1.2)

        threading.Thread(target=outage, daemon=True).start()

    ran = run_drill(
        "link-loss",
        lab.source or Path(),
        tmp_path / "out",
        settings={"client.timeout": "500ms"},
        during=("hold", one_second),
    )
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), said(ran)
    availability = next(o for o in ran.result.objectives if o.kind == "availability")
    assert availability.met is False
    assert availability.measured is not None
    assert availability.measured < 0.99


# -- it does not come back


def test_a_region_that_does_not_come_back(lab: Fleet, tmp_path: Path) -> None:
    real = lab.regions["us"].power
    assert real is not None

    def no_way_back(fleet: dict[str, Any]) -> None:
        fleet["regions"]["us"]["power"] |= {"restore": ["sleep", "600"], "deadline": "5s"}

    path = edited(lab, tmp_path, no_way_back)
    ran = run_drill(
        "region-loss",
        path,
        tmp_path / "out",
        settings={"phases.undo": "12s", "phases.failback": "8s", "objectives.2.objective": "5s"},
    )
    assert (ran.result.verdict, ran.code) == (Verdict.UNSAFE, 14), said(ran)
    assert f"blackstart recover --run {ran.result.run_id}" in ran.output
    recovered = run_recover(ran.result.run_id, lab.source or Path())
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    assert "put back" in recovered.stdout
    again = run_recover(ran.result.run_id, lab.source or Path())
    assert again.returncode == 0


def run_recover(run: str, fleet: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "blackstart", "recover", "--run", run, "--fleet", str(fleet)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=180)


@contextmanager
def stubborn_edge(lab: Fleet, paths: LabPaths, port: int) -> Iterator[None]:
    """A second edge beside the lab's own that knows one region only by heart: no health checks, no retries."""
    address = urlsplit(lab.services["user-service"].entry.url).hostname or ""
    upstreams = [
        (region, path.address.split(":")[0], int(path.address.split(":")[1]))
        for region in ("us", "eu")
        for path in lab.links[f"edge-{region}"].paths
    ]
    bootstrap = paths.root / "edge" / "stubborn.json"
    bootstrap.write_text(json.dumps(edge_config((address, port), ("127.0.0.1", port + 1), upstreams, failover=False)))
    with inside(lab.places["edge"]):
        process = subprocess.Popen(
            [str(find_envoy()), "-c", str(bootstrap), "--disable-hot-restart", "--concurrency", "1"],
            start_new_session=True,
        )
    try:
        time.sleep(1.5)
        assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.wait(20)
        bootstrap.unlink()
