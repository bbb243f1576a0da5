"""What a mesh says of itself while it is broken: a drill must not believe it. Each runs on a lab with a mesh."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from labdrill import Ran, content, edited, kubectl, run_drill, settle
from meshlab import RULE, TAKES_UP, instead, settle_behind_the_gateway
from seedrules import good, with_policy

from blackstart.cli import invoke
from blackstart.evidence.reader import EVIDENCE, read
from blackstart.evidence.records import Phase, PhaseStart, Samples
from blackstart.fleet.model import Fleet
from blackstart.lab.manifests import APP
from blackstart.schema.result import Verdict

RTO = {"kind": "rto", "service": "mesh", "objective": "3s"}
AVAILABILITY = {"kind": "availability", "service": "mesh", "objective": "99%"}

Drill = dict[str, Any]


@pytest.fixture(autouse=True)
def _whole_again(mesh: Fleet) -> Iterator[None]:
    settle_behind_the_gateway(mesh)
    yield
    settle(mesh)


def reading(probe: str, bound: str) -> dict[str, Any]:
    return {"kind": "reading", "service": "mesh", "probe": probe, "bound": bound}


def judged_by(*objectives: dict[str, Any], **client: str) -> Callable[[Drill], None]:
    """A drill of the mesh alone, with these objectives and their probes only."""

    def edit(drill: Drill) -> None:
        probes = [o["probe"] for o in objectives if "probe" in o]
        # One slow answer on a busy machine is no sick baseline.
        drill |= {
            "services": ["mesh"],
            "probes": probes,
            "objectives": list(objectives),
            "steady": {"success": "90%"},
        }
        drill["client"] |= client

    return edit


def run(
    mesh: Fleet,
    folder: Path,
    name: str,
    edit: Callable[[Drill], None],
    fleet: Path | None = None,
    during: tuple[str, Callable[[], object]] | None = None,
) -> Ran:
    ran = run_drill(
        content("drills", name, folder, edit), fleet or mesh.source or Path(), folder / "out", during=during
    )
    assert all(fault.confirmed_reverted for fault in ran.result.faults)
    return ran


def said(ran: Ran) -> str:
    return f"{ran.result.sentence}\n" + "\n".join([*ran.result.reasons, *(o.detail for o in ran.result.objectives)])


def answers(ran: Ran, phase: Phase) -> list[tuple[bool, float]]:
    """What clients got at the entry during a phase: whether it was an answer, and its latency in seconds."""
    found, inside = [], False
    for line in read(ran.folder / EVIDENCE):
        if isinstance(line.body, PhaseStart):
            inside = line.body.phase is phase
        elif inside and isinstance(line.body, Samples) and "/entry/" in line.body.stream:
            found += list(zip(line.body.ok, line.body.latency, strict=True))
    return found


def ejecting(mesh: Fleet, outlier: dict[str, Any] | None) -> AbstractContextManager[None]:
    """The lab's DestinationRule with another outlierDetection, in every region."""
    rule = with_policy(good()[f"DestinationRule/{APP}"], outlierDetection=outlier)
    return instead(mesh, {name: [rule] for name in mesh.regions})


# -- endpoints that are dead are HEALTHY


@pytest.mark.parametrize("felt", [True, False], ids=["with-clients", "istiod-alone"])
def test_istiod_calls_the_dead_healthy(mesh: Fleet, tmp_path: Path, felt: bool) -> None:
    healthy = reading("mesh-remote-endpoints", ">= 3")

    def of_the_victim(probe: dict[str, Any]) -> None:
        probe["of"] = "primary"

    content("probes", "mesh-remote-endpoints", tmp_path, of_the_victim)
    with ejecting(mesh, None):
        edit = judged_by(healthy, *([RTO, AVAILABILITY] if felt else []), slow="150ms")
        ran = run(mesh, tmp_path, "endpoint-blackhole", edit)
    by_istiod = next(o for o in ran.result.objectives if o.kind == "reading")
    assert (by_istiod.met, by_istiod.measured) == (True, 3), said(ran)
    if felt:
        assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), said(ran)
    else:
        assert (ran.result.verdict, ran.code) == (Verdict.INCONCLUSIVE, 12), said(ran)
        assert "no objective says what its clients may feel" in said(ran)


# -- a cluster that istiod has lost is synced


def test_a_cluster_that_istiod_has_lost_reads_as_synced(mesh: Fleet, tmp_path: Path) -> None:
    def fewer() -> None:
        kubectl(mesh.regions["eu"], "-n", "production", "scale", "deployment/user-service", "--replicas=2")

    try:
        edit = judged_by(RTO, AVAILABILITY, reading("mesh-remote-endpoints", ">= 1"))
        ran = run(mesh, tmp_path, "remote-api-loss", edit, during=("hold", fewer))
    finally:
        kubectl(mesh.regions["eu"], "-n", "production", "scale", "deployment/user-service", "--replicas=3")
    assert (ran.result.verdict, ran.code) == (Verdict.INCONCLUSIVE, 12), said(ran)
    assert "istiod has 3 ready endpoints of eu, the cluster itself 2" in said(ran)


# -- retries hide errors


def test_answers_that_took_several_tries_are_bad(mesh: Fleet, tmp_path: Path) -> None:
    with ejecting(mesh, {"consecutive5xxErrors": 3, "interval": "1s", "baseEjectionTime": "5s"}):
        ran = run(mesh, tmp_path, "endpoint-blackhole", judged_by(RTO, AVAILABILITY, slow="150ms"))
    held = answers(ran, Phase.HOLD)
    assert sum(ok for ok, _ in held) >= 0.9 * len(held), "clients see errors: this shows nothing of retries"
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), said(ran)
    assert "slower than 0.15 s" in said(ran)


# -- traffic that never used the mesh


@pytest.mark.parametrize("drill", ["control-plane-loss", "endpoint-blackhole"])
def test_clients_that_pass_the_gateway_by(mesh: Fleet, tmp_path: Path, drill: str) -> None:
    """The first one would pass: what is broken does not matter to them, and they are not to notice it."""

    def by_the_node_port(fleet: dict[str, Any]) -> None:
        service = fleet["services"][fleet["roles"]["mesh"]]
        service["entry"]["url"] = service["direct"]["us"]["url"]

    ran = run_drill(drill, edited(mesh, tmp_path, by_the_node_port), tmp_path / "out")
    assert (ran.result.verdict, ran.code) == (Verdict.INVALID, 12), said(ran)
    assert "this traffic does not use the mesh" in said(ran)
    assert not ran.injected()


# -- a rule in one region only


def test_a_rule_that_one_region_lacks(mesh: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Entered in the region that has the rule all is well; the other one's gateway never heard of it."""

    def entered_in_eu(fleet: dict[str, Any]) -> None:
        fleet["roles"] |= {"primary": "eu", "standby": "us"}
        entry = fleet["services"][fleet["roles"]["mesh"]]["entry"]
        url = fleet["services"][fleet["roles"]["mesh"]]["direct"]["eu"]["url"]
        port = entry["url"].rstrip("/").rpartition(":")[2]
        entry |= {"url": f"{url.rpartition(':')[0]}:{port}/", "gateway": "eu"}

    with only_in(mesh, "us"):
        # The routes that need the rule's subsets are an error there, besides.
        assert invoke(["lint", "--mesh", "--fleet", str(mesh.source)]) == 2
        assert "BSM512" in capsys.readouterr().out
        edit = judged_by(RTO, AVAILABILITY, slow="150ms")
        ran = run(mesh, tmp_path, "endpoint-blackhole", edit, edited(mesh, tmp_path, entered_in_eu))
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), said(ran)


@contextmanager
def only_in(mesh: Fleet, region: str) -> Iterator[None]:
    """The DestinationRule in one region only, for the length of the block."""
    others = [found for name, found in mesh.regions.items() if name != region]
    rule = json.loads(kubectl(mesh.regions[region], "get", *RULE, "-o", "json"))
    whole = {key: rule[key] for key in ("apiVersion", "kind", "spec")}
    whole["metadata"] = {key: rule["metadata"][key] for key in ("name", "namespace")}
    for other in others:
        kubectl(other, "delete", *RULE)
    try:
        yield
    finally:
        for other in others:
            kubectl(other, "apply", "-f", "-", stdin=json.dumps(whole))
        time.sleep(TAKES_UP)


# -- configuration of a dead istiod


def test_what_a_gateway_has_of_a_dead_istiod_is_old(mesh: Fleet, tmp_path: Path) -> None:
    """Every figure is the right one: nothing changed meanwhile. Nobody can know that."""
    bounds = {"mesh-healthy-hosts": ">= 3", "mesh-priority": ">= 1", "mesh-remote-endpoints": ">= 3"}

    def of_primary(spec: dict[str, Any]) -> None:
        spec["regions"] = ["primary"]

    for probe in bounds:
        content("probes", probe, tmp_path, of_primary)
    readings = [reading(probe, bound) for probe, bound in bounds.items()]
    ran = run(mesh, tmp_path, "control-plane-loss", judged_by(RTO, AVAILABILITY, *readings))
    assert (ran.result.verdict, ran.code) == (Verdict.INCONCLUSIVE, 12), said(ran)
    assert [(o.kind, o.met) for o in ran.result.objectives if o.met is not True] == [("reading", None)] * 3, said(ran)
    assert said(ran).count("the gateway has no connection to istiod") >= 2
