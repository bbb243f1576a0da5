"""Lint of the mesh that runs: the same rules over what the clusters of a fleet hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import contentkit
import pytest
import yaml
from kubeapi import KubeApi

from blackstart.cli import invoke

ISTIO = "/apis/networking.istio.io"
POLICY: dict[str, Any] = {
    "connectionPool": {"tcp": {"connectTimeout": "500ms"}},
    "outlierDetection": {"interval": "1s", "baseEjectionTime": "5s", "maxEjectionPercent": 100},
    "loadBalancer": {"localityLbSetting": {"failover": [{"from": "us", "to": "eu"}, {"from": "eu", "to": "us"}]}},
}


def add(api: KubeApi, spec: object, path: str = f"{ISTIO}/v1/namespaces/production/destinationrules/users") -> None:
    namespace = path.split("/")[-3] if "/namespaces/" in path else None
    api.objects[path] = {"metadata": {"name": path.split("/")[-1], "namespace": namespace}, "spec": spec}


def rule(**outlier: object) -> dict[str, Any]:
    return {"host": "users", "trafficPolicy": POLICY | {"outlierDetection": POLICY["outlierDetection"] | outlier}}


@pytest.fixture
def apis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, KubeApi]]:
    """The API servers of us and eu, in a fleet.yaml of the working directory."""
    monkeypatch.chdir(tmp_path)
    with KubeApi() as us, KubeApi() as eu:
        found = {"us": us, "eu": eu}
        fleet = contentkit.changed(contentkit.FLEET, {})
        for name, api in found.items():
            api.add("users", 3)
            labels = {"topology.kubernetes.io/region": name}
            api.objects["/api/v1/nodes/node"] = {"metadata": {"name": "node", "labels": labels}}
            add(api, rule())
            kubeconfig = str(api.kubeconfig(tmp_path, name))
            fleet["regions"][name]["cluster"] = {"kubeconfig": kubeconfig, "context": name, "uid": api.uid}
        Path("fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))
        yield found


def lint(capsys: pytest.CaptureFixture[str], *more: str) -> list[tuple[str, str, str]]:
    """Rule, object and message of each finding."""
    invoke(["lint", "--mesh", "--fleet", "fleet.yaml", "-o", "json", *more])
    said = capsys.readouterr()
    return [(f["rule"], f["file"], f["message"]) for f in json.loads(said.out)]


def test_a_fleet_that_can_fail_over(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    assert lint(capsys) == []
    assert invoke(["lint", "--mesh", "--fleet", "fleet.yaml"]) == 0
    assert capsys.readouterr().err == "2 clusters checked: nothing to say\n"
    assert {method for api in apis.values() for method, _ in api.requests} == {"GET"}


def test_findings_name_the_cluster_and_the_object(
    apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]
) -> None:
    add(apis["eu"], rule(maxEjectionPercent=20))
    wanted = "eu/production/DestinationRule/users"
    assert lint(capsys) == [
        ("BSM201", wanted, "20 % of 6 hosts ejects 1; the loss of us takes 3"),
        ("BSM511", wanted, "differs from us (us/production/DestinationRule/users)"),
    ]


def test_replicas_and_regions_are_read(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    apis["us"].add("users", 1)
    for api in apis.values():
        add(api, rule(maxEjectionPercent=70))
    assert [message for *_, message in lint(capsys)] == ["70 % of 4 hosts ejects 2; the loss of eu takes 3"] * 2
    apis["us"].objects["/api/v1/nodes/node"]["metadata"]["labels"] = {"topology.kubernetes.io/region": "us-east-1"}
    assert {name for name, *_ in lint(capsys)} == {"BSM111", "BSM115", "BSM201"}


def test_every_kind_is_read(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    where = f"{ISTIO}/v1/namespaces/production"
    for api in apis.values():
        add(api, {"selector": {"app": "users"}}, "/api/v1/namespaces/production/services/users")
        add(api, {"hosts": ["x"], "gateways": ["none"], "http": []}, f"{where}/virtualservices/users")
        add(api, {}, f"{where}/gateways/edge")
        add(api, {"hosts": ["db.example.com"], "endpoints": [{"locality": "us"}]}, f"{where}/serviceentries/db")
        add(api, rule() | {"host": "nobody"}, f"{where}/destinationrules/nobody")
    found = lint(capsys)
    assert {name for name, place, _ in found if place.startswith("us/")} == {"BSM401", "BSM502", "BSM503"}


def test_an_older_istio_and_none_at_all(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    def old(method: str, path: str) -> tuple[int, str] | None:
        return (404, "no such version") if path.startswith(f"{ISTIO}/v1/") else None

    apis["us"].fail = old
    assert lint(capsys) == []
    apis["us"].fail = lambda method, path: (404, "no such API") if ISTIO in path else None
    assert lint(capsys) == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "grant the permission to the user of the kubeconfig"),
        (500, "cannot list networking.istio.io/v1/destinationrules: HTTP 500"),
    ],
)
def test_a_cluster_that_does_not_tell_is_no_clean_one(
    apis: dict[str, KubeApi], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    apis["eu"].fail = lambda method, path: (status, "no") if ISTIO in path else None
    assert invoke(["lint", "--mesh", "--fleet", "fleet.yaml"]) == 2
    assert said in capsys.readouterr().err


def test_a_cluster_of_someone_else(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    apis["eu"].uid = "another"
    assert invoke(["lint", "--mesh", "--fleet", "fleet.yaml"]) == 2
    assert "leads to another cluster" in capsys.readouterr().err
