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
from blackstart.lab.meshrules import GEO_HEADER, rules
from blackstart.lab.metrics import MetricsTargets, prometheus_config
from blackstart.lab.parts import find_envoy
from blackstart.lab.paths import LabPaths
from blackstart.lab.pki import Authority
from blackstart.lab.regionfiles import RegionFiles
from blackstart.lab.topology import topology
from blackstart.plan.mesh.check import lint_mesh
from blackstart.plan.mesh.files import read_files
from blackstart.plan.mesh.model import Said

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


def test_who_belongs_somewhere_is_led_there_first() -> None:
    routes = rules(["us", "eu"])[1]["spec"]["http"]
    matched = [route["match"][0]["headers"][GEO_HEADER]["exact"] for route in routes[:-1]]
    assert (matched, "match" in routes[-1]) == (["us", "eu"], False)
    subsets = rules(["us", "eu"])[2]["spec"]["subsets"]
    # A subset with labels of one region would have nobody left when that is lost.
    assert all("labels" not in subset for subset in subsets)
    assert [route["route"][0]["destination"]["subset"] for route in routes[:-1]] == [s["name"] for s in subsets]


def test_the_service_outside_has_an_address_in_two_regions() -> None:
    assert topology(["us"]).meeting() == {}
    assert topology(["us", "eu", "as"]).meeting() == LAB.meeting()
    assert [rule["kind"] for rule in rules(["us"])] == ["Gateway", "VirtualService", "DestinationRule"]
    entry = rules(["us", "eu"], LAB.meeting())[3]
    assert [end["locality"] for end in entry["spec"]["endpoints"]] == ["us/us-a", "eu/eu-a"]
    assert len({end["address"] for end in entry["spec"]["endpoints"]}) == 2


@pytest.mark.parametrize("regions", [["us"], ["us", "eu"], ["us", "eu", "as"]])
def test_clients_past_the_edge(regions: list[str], tmp_path: Path) -> None:
    uids = {name: name for name in regions}
    fleet = Fleet.model_validate(fleet_document(topology(regions), LabPaths(tmp_path), uids, mesh=True))
    wanted = {"mesh"} if len(regions) == 1 else {"mesh", "mesh-standby", "geo", "external"}
    assert {*fleet.roles} - {"primary", "standby", "frontend"} == wanted
    if "geo" in wanted:
        assert fleet.services[fleet.resolve("geo")].entry.headers == {GEO_HEADER: "eu"}


def test_lint_has_nothing_to_say_of_the_rules(tmp_path: Path) -> None:
    for region in ("us", "eu"):
        (tmp_path / region).mkdir()
        (tmp_path / region / "mesh.yaml").write_text(yaml.safe_dump_all(rules(["us", "eu"], LAB.meeting())))
    found = lint_mesh(read_files([tmp_path], Said(regions=("us", "eu"), replicas={"us": 3, "eu": 3})).mesh)
    assert [str(finding) for finding in found if finding.severity != "info"] == []
