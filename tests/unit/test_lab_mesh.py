"""The mesh's configuration: what Envoy accepts, what the model of a fleet knows of it, what its rules say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from blackstart.cli import cli
from blackstart.fleet.model import Fleet
from blackstart.lab import mesh, ports
from blackstart.lab.fleetfile import THROUGH_MESH, fleet_document
from blackstart.lab.meshrules import rules
from blackstart.lab.metrics import MetricsTargets, prometheus_config
from blackstart.lab.parts import find_envoy
from blackstart.lab.paths import LabPaths
from blackstart.lab.pki import Authority
from blackstart.lab.regionfiles import RegionFiles
from blackstart.lab.topology import topology

LAB = topology(["us", "eu"])
UIDS = {"us": "1", "eu": "2"}


@pytest.mark.skipif(find_envoy() is None, reason="Envoy is not installed")
def test_envoy_accepts_the_gateways_bootstrap(tmp_path: Path) -> None:
    path = tmp_path / "gateway.json"
    path.write_text(json.dumps(mesh.gateway_config(LAB.region("us"))))
    argv = [str(find_envoy()), "--mode", "validate", "-c", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_fleet_with_a_mesh_has_a_way_in_past_the_edge(tmp_path: Path) -> None:
    fleet = Fleet.model_validate(fleet_document(LAB, LabPaths(tmp_path), UIDS, mesh=True))
    assert fleet.services[fleet.resolve("mesh")].entry.url.endswith(f":{ports.GATEWAY}/")
    assert fleet.services[THROUGH_MESH].direct == fleet.services["user-service"].direct
    found = fleet.regions["us"].mesh
    assert found is not None
    assert found.gateway.place == found.istiod.place == "us"
    assert found.gateway.uid == mesh.GATEWAY_UID
    assert fleet.regions["us"].pods == [LAB.region("us").pods]
    assert found.remotes == {"eu": f"{LAB.wires['us-eu'].end_of('eu').address}:6443"}
    assert found.istiod.power is not None
    assert found.istiod.power.kill[3:] == ["lab", "kill", "us", "--part", "istiod", "--state", str(tmp_path)]


def test_a_remote_that_is_no_region_is_refused(tmp_path: Path) -> None:
    document = fleet_document(LAB, LabPaths(tmp_path), UIDS, mesh=True)
    document["regions"]["us"]["mesh"]["remotes"] = {"asia": "10.0.0.1:6443"}
    with pytest.raises(ValueError, match="asia"):
        Fleet.model_validate(document)


def test_a_fleet_without_a_mesh_has_none_of_it(tmp_path: Path) -> None:
    fleet = Fleet.model_validate(fleet_document(LAB, LabPaths(tmp_path), UIDS))
    assert list(fleet.services) == ["user-service"]
    assert fleet.regions["us"].mesh is None


def test_a_remote_secret_carries_what_istiod_accepts(tmp_path: Path) -> None:
    files = RegionFiles(tmp_path)
    Authority(tmp_path / "pki", "test").client("istiod", "reader")
    secret = mesh.remote_secret("eu", "https://198.18.16.2:6443", files)
    assert secret["metadata"]["labels"] == {"istio/multiCluster": "true"}
    config = yaml.safe_load(secret["stringData"]["eu"])
    assert config["clusters"][0]["cluster"]["server"] == "https://198.18.16.2:6443"
    # File names would be refused: istiod is somewhere else.
    assert set(config["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


@pytest.mark.parametrize("regions", [["us"], ["us", "eu"], ["us", "eu", "as"]])
def test_every_region_fails_over_to_another(regions: list[str]) -> None:
    policy = rules(regions)[2]["spec"]["trafficPolicy"]
    failover: list[dict[str, Any]] = policy["loadBalancer"]["localityLbSetting"].get("failover", [])
    assert [rule["from"] for rule in failover] == (regions if len(regions) > 1 else [])
    assert all(rule["from"] != rule["to"] for rule in failover)
    assert policy["outlierDetection"]["maxEjectionPercent"] == 100


def test_prometheus_looks_at_the_mesh_where_there_is_one(tmp_path: Path) -> None:
    def jobs(**more: bool) -> set[str]:
        targets = MetricsTargets("a:1", "b:1", "c:1", "d:1", tmp_path, tmp_path, tmp_path, **more)
        return {job["job_name"] for job in prometheus_config("us", targets)["scrape_configs"]}

    assert jobs(mesh=True) - jobs() == {"istiod", "gateway"}


def test_kind_has_no_mesh() -> None:
    done = CliRunner().invoke(cli, ["lab", "up", "--provider", "kind", "--mesh"])
    assert done.exit_code == 2
    assert "only the native provider" in done.output
