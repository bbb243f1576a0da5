"""Drills of a mesh on a lab with one: they pass where its rules are right (test_mesh_seed.py: where they are not)."""

from __future__ import annotations

from pathlib import Path

import pytest
from labdrill import Ran, kubectl, run_drill, shipped
from meshlab import settle_behind_the_gateway, until, values

from blackstart.evidence.reader import EVIDENCE, read
from blackstart.evidence.records import Reading, Reason
from blackstart.faults.meshparts import mesh_of, ready_path
from blackstart.faults.paths import answers
from blackstart.fleet import nft, power
from blackstart.fleet.model import Fleet, Power
from blackstart.lab.manifests import APP, NAMESPACE
from blackstart.probes.base import Scope
from blackstart.schema.result import Verdict


@pytest.mark.parametrize("drill", [name for name in shipped("drills", mesh=True) if name != "mesh-link-loss"])
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


def test_a_region_is_lost_behind_its_gateway(mesh: Fleet, tmp_path: Path) -> None:
    """The edge balances over gateways here, and they over pods."""
    ran = _run(mesh, tmp_path, "region-loss")
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output
    _nothing_left(mesh)


def test_what_an_istiod_says_of_a_region_behind_a_cut_link_is_stale(mesh: Fleet, tmp_path: Path) -> None:
    """A pod is replaced in each region meanwhile: no istiod hears of it, and none says so by itself."""
    settle_behind_the_gateway(mesh)
    ran = run_drill(
        "mesh-link-loss", mesh.source or Path(), tmp_path / "out", during=("hold", lambda: _replace(mesh))
    )
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output
    read_out = [line.body for line in read(ran.folder / EVIDENCE) if isinstance(line.body, Reading)]
    for probe in ("mesh-remote-endpoints", "mesh-home-endpoints"):
        assert Reason.STALE in {reading.no_data for reading in read_out if reading.probe == probe}, probe
    until(lambda: values(Scope(mesh), "mesh-remote-endpoints") == {"us": 3})
    until(lambda: values(Scope(mesh), "mesh-home-endpoints") == {"eu": 3})
    _nothing_left(mesh)


def _run(mesh: Fleet, tmp_path: Path, drill: str) -> Ran:
    settle_behind_the_gateway(mesh)
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


def _replace(mesh: Fleet) -> None:
    """One pod of each region goes, another comes."""
    for region in mesh.regions.values():
        pods = kubectl(region, "-n", NAMESPACE, "get", "pods", "-l", f"app={APP}", "-o", "name").split()
        kubectl(region, "-n", NAMESPACE, "delete", "--wait=false", pods[0])
