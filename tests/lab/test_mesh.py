"""Drills of a mesh on a lab with one: they pass where its rules are right, and fail where they are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from labdrill import Ran, run_drill, settle, shipped
from meshlab import rules

from blackstart.faults.meshparts import mesh_of, ready_path
from blackstart.faults.paths import answers
from blackstart.fleet import nft, power
from blackstart.fleet.model import Fleet, Power
from blackstart.schema.result import Verdict


@pytest.mark.parametrize("drill", shipped("drills", mesh=True))
def test_a_drill_of_the_mesh_passes_and_leaves_nothing(mesh: Fleet, tmp_path: Path, drill: str) -> None:
    ran = _run(mesh, tmp_path, drill)
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output
    assert ran.injected()
    assert all(fault.confirmed_reverted for fault in ran.result.faults)
    _nothing_left(mesh)


@pytest.mark.parametrize("part", ["istiod", "gateway"])
def test_a_region_is_up_without_a_part_of_its_mesh(mesh: Fleet, part: str) -> None:
    switch = _power(mesh, part)
    region = mesh.regions["us"].power
    assert region is not None
    power.kill(switch)
    try:
        power.kill(switch)
        assert (power.state(switch), power.state(region)) == ("dead", "up")
        assert not answers(mesh, ready_path(mesh, "us", part))
    finally:
        power.restore(switch)
    power.restore(switch)
    assert power.state(switch) == "up"


@pytest.mark.parametrize(
    "policy",
    [{"outlierDetection": None}, {"outlierDetection": {"maxEjectionPercent": None}}],
    ids=["no-outlier-detection", "ten-percent"],
)
def test_rules_that_cannot_fail_over_fail(mesh: Fleet, tmp_path: Path, policy: dict[str, Any]) -> None:
    """Retries hide the errors: the client alone might see nothing."""
    with rules(mesh, {"spec": {"trafficPolicy": policy}}):
        ran = _run(mesh, tmp_path, "endpoint-blackhole")
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), ran.output
    assert all(fault.confirmed_reverted for fault in ran.result.faults)
    _nothing_left(mesh)


def _run(mesh: Fleet, tmp_path: Path, drill: str) -> Ran:
    settle(mesh)
    return run_drill(drill, mesh.source or Path(), tmp_path / "out")


def _power(mesh: Fleet, part: str) -> Power:
    found: Power | None = getattr(mesh_of(mesh, "us"), part).power
    assert found is not None
    return found


def _nothing_left(mesh: Fleet) -> None:
    for place in mesh.places.values():
        assert nft.tables(place) == []
    for part in ("istiod", "gateway"):
        assert power.state(_power(mesh, part)) == "up"
