"""What is shipped works on real clusters: drills, experiments under plain `chaos run`, the list of activities."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from labdrill import chaos, plain_chaos, run_drill, settle, shipped

from blackstart.evidence.reader import EVIDENCE, verify
from blackstart.fleet import nft
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet
from blackstart.schema.result import Verdict

DRILLS = shipped("drills")
EXPERIMENTS = shipped("experiments")


@pytest.mark.parametrize("drill", DRILLS)
def test_a_shipped_drill_passes_and_leaves_nothing(lab: Fleet, tmp_path: Path, drill: str) -> None:
    ran = run_drill(drill, lab.source or Path(), tmp_path / "out")
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output
    assert ran.injected()
    assert all(fault.confirmed_reverted for fault in ran.result.faults)
    verified = verify(ran.folder / EVIDENCE)
    assert verified.problem is None
    assert verified.ended
    for clock in ran.result.clock.values():
        assert clock.t0 is not None
        # At 100 Hz an attempt is made each 10 ms; ten times that is a busy machine.
        # Pods of a scaled Deployment end one after another.
        assert clock.t0.latest - clock.t0.earliest < (3.0 if drill == "service-failover" else 0.1)
    names = {path.name for path in ran.folder.iterdir()}
    assert {"evidence.ndjson", "result.json", "report.html", "junit.xml", "summary.md", "SHA256SUMS"} <= names
    nothing_left(lab)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_shipped_experiment_runs_under_plain_chaos(lab: Fleet, tmp_path: Path, experiment: str) -> None:
    plain_chaos(experiment, lab, tmp_path)
    settle(lab)
    nothing_left(lab)


def test_chaos_discovers_the_activities(tmp_path: Path) -> None:
    chaos(["discover", "--no-install", "blackstart"], tmp_path, dict(os.environ))
    found = json.loads((tmp_path / "discovery.json").read_text())
    helped = {activity["name"] for activity in found["activities"] if activity["doc"]}
    assert {"scale", "delete_pods", "isolate", "sever", "kill", "undo"} <= helped
    assert {"blackhole_endpoints", "block_remote_api", "gateway_kill", "istiod_kill"} <= helped
    assert {"mesh_abort", "mesh_delay", "drain_subset"} <= helped


def nothing_left(fleet: Fleet) -> None:
    """No table of a fault in any place, no label of a run on any workload."""
    for place in fleet.places.values():
        assert nft.tables(place) == []
    for name, region in fleet.regions.items():
        with Kube(region.cluster) as kube:
            for service in fleet.services.values():
                found = kube.deployment(service.workloads[name].namespace, service.workloads[name].deployment)
                assert not [key for key in {**found.labels, **found.annotations} if key.startswith("blackstart.dev/")]
                assert found.replicas == 3
