"""Every shipped drill is a plan on the fleets that the lab writes, as they are read back from their files."""

from __future__ import annotations

from pathlib import Path

import pytest
from contentkit import mesh_fleet, needs_backup, needs_data, needs_mesh, needs_multi_active, needs_views

from blackstart.lab import kindfiles
from blackstart.lab.data import sites
from blackstart.lab.fleetfile import fleet_document, write_fleet
from blackstart.lab.meshrules import HOST
from blackstart.lab.paths import LabPaths
from blackstart.lab.topology import topology
from blackstart.plan.check import check_file
from blackstart.plan.resolve import make_plan
from blackstart.probes import load_probe
from blackstart.probes.base import Scope
from blackstart.probes.mesh import MeshSpec, host_of, mesh_of
from blackstart.schema.content import content_dir
from blackstart.schema.errors import ContentError

ALL = sorted(content_dir("drills").glob("*.yaml"))
BACKUP_DRILLS = [file for file in ALL if needs_backup(file)]
DRILLS = [f for f in ALL if not (needs_mesh(f) or needs_data(f) or needs_views(f) or needs_backup(f))]
MESH_DRILLS = [file for file in ALL if needs_mesh(file)]
DATA_DRILLS = [file for file in ALL if needs_data(file) and not needs_multi_active(file)]
ACTIVE_DRILLS = [file for file in ALL if needs_multi_active(file)]
VIEW_DRILLS = [file for file in ALL if needs_views(file)]
LOSSES = ["metrics-sidecar-freeze", "metrics-store-blackhole", "metrics-prometheus-freeze", "metrics-prometheus-kill"]


@pytest.mark.parametrize("drill", DRILLS, ids=lambda file: file.stem)
@pytest.mark.parametrize("regions", [("us", "eu"), ("us", "eu", "as")], ids="-".join)
def test_on_the_native_lab(regions: tuple[str, ...], drill: Path, tmp_path: Path) -> None:
    uids = {name: f"uid-{name}" for name in regions}
    write_fleet(fleet_document(topology(regions), LabPaths(tmp_path), uids), tmp_path / "fleet.yaml")
    plan = make_plan(drill, tmp_path / "fleet.yaml")
    assert plan.notes == ()
    assert plan.services == {"frontend": "user-service"}
    assert set(plan.victims) | set(plan.survivors) == set(regions)


@pytest.mark.parametrize("drill", [*DRILLS, *MESH_DRILLS], ids=lambda file: file.stem)
@pytest.mark.parametrize("regions", [("us", "eu"), ("us", "eu", "as")], ids="-".join)
def test_on_the_lab_with_a_mesh(regions: tuple[str, ...], drill: Path, tmp_path: Path) -> None:
    assert make_plan(drill, mesh_fleet(tmp_path, regions)).notes == ()


@pytest.mark.parametrize("drill", DATA_DRILLS, ids=lambda file: file.stem)
def test_on_the_lab_with_stores(drill: Path, tmp_path: Path) -> None:
    net = topology(("us", "eu"))
    document = fleet_document(net, LabPaths(tmp_path), {"us": "1", "eu": "2"}, sites=sites(net))
    write_fleet(document, tmp_path / "fleet.yaml")
    assert make_plan(drill, tmp_path / "fleet.yaml").notes == ()


@pytest.mark.parametrize("drill", [*DRILLS, *ACTIVE_DRILLS], ids=lambda file: file.stem)
def test_on_the_lab_with_a_multi_active_database(drill: Path, tmp_path: Path) -> None:
    net = topology(("us", "eu"))
    found = sites(net, multi_active=True)
    document = fleet_document(net, LabPaths(tmp_path), {"us": "1", "eu": "2"}, sites=found)
    write_fleet(document, tmp_path / "fleet.yaml")
    assert make_plan(drill, tmp_path / "fleet.yaml").notes == ()


@pytest.mark.parametrize("drill", [DATA_DRILLS[0], *ACTIVE_DRILLS], ids=lambda file: file.stem)
def test_the_lab_of_the_other_pattern_is_refused(drill: Path, tmp_path: Path) -> None:
    net = topology(("us", "eu"))
    found = sites(net, multi_active=drill not in ACTIVE_DRILLS)
    document = fleet_document(net, LabPaths(tmp_path), {"us": "1", "eu": "2"}, sites=found)
    write_fleet(document, tmp_path / "fleet.yaml")
    with pytest.raises(ContentError, match=r"unknown (service|store)|is multi-active|cache"):
        make_plan(drill, tmp_path / "fleet.yaml")


def view_fleet(folder: Path) -> Path:
    document = fleet_document(topology(("us", "eu")), LabPaths(folder), {"us": "1", "eu": "2"}, global_metrics=True)
    write_fleet(document, folder / "fleet.yaml")
    return folder / "fleet.yaml"


@pytest.mark.parametrize("drill", VIEW_DRILLS, ids=lambda file: file.stem)
def test_on_the_lab_with_global_metrics(drill: Path, tmp_path: Path) -> None:
    assert make_plan(drill, view_fleet(tmp_path)).notes == ()


@pytest.mark.parametrize("experiment", LOSSES)
def test_every_way_to_lose_metrics(experiment: str, tmp_path: Path) -> None:
    drill = content_dir("drills") / "metrics-region-loss.yaml"
    assert make_plan(drill, view_fleet(tmp_path), {"experiment": experiment}).notes == ()


@pytest.mark.parametrize("drill", BACKUP_DRILLS, ids=lambda file: file.stem)
def test_on_the_lab_with_backups(drill: Path, tmp_path: Path) -> None:
    net = topology(("us", "eu"), backup=True)
    document = fleet_document(net, LabPaths(tmp_path), {"us": "1", "eu": "2"}, sites=sites(net))
    write_fleet(document, tmp_path / "fleet.yaml")
    assert make_plan(drill, tmp_path / "fleet.yaml").notes == ()


@pytest.mark.parametrize("drill", DRILLS, ids=lambda file: file.stem)
def test_on_the_kind_lab(drill: Path, tmp_path: Path) -> None:
    addresses = {name: f"172.18.0.{n}" for n, name in enumerate(("us", "eu", "edge", "observer"), start=2)}
    uids = {"us": "uid-us", "eu": "uid-eu"}
    document = kindfiles.fleet_document(["us", "eu"], addresses, uids, LabPaths(tmp_path))
    write_fleet(document, tmp_path / "fleet.yaml")
    assert make_plan(drill, tmp_path / "fleet.yaml").notes == ()


@pytest.mark.parametrize("file", sorted(content_dir("probes").glob("mesh-*.yaml")), ids=lambda file: file.stem)
def test_probes_of_the_mesh_on_a_lab_with_one(file: Path, tmp_path: Path) -> None:
    document = fleet_document(topology(("us", "eu")), LabPaths(tmp_path), {"us": "1", "eu": "2"}, mesh=True)
    fleet = write_fleet(document, tmp_path / "fleet.yaml")
    assert check_file(file, fleet) == []
    probe, scope = load_probe(file), Scope(fleet)
    assert isinstance(probe, MeshSpec)
    for region in scope.regions(probe.regions):
        assert mesh_of(scope, region)
        assert host_of(probe, scope, region) == HOST
