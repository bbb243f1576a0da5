"""Lint of the backups that there are: the same rules over what clusters hold, and what only they know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import contentkit
import pytest
import yaml
from kubeapi import KubeApi

from blackstart.cli import invoke

VELERO = "/apis/velero.io/v1/namespaces/velero"
Json = dict[str, Any]


def ago(seconds: float) -> str:
    """A time as Kubernetes writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def add(api: KubeApi, path: str, **parts: Any) -> Json:
    """An object in a cluster."""
    namespace = path.split("/")[-3] if "/namespaces/" in path else None
    metadata = {"name": path.split("/")[-1], "namespace": namespace, **parts.pop("metadata", {})}
    api.objects[path] = {"metadata": metadata, **parts}
    return api.objects[path]


def location(api: KubeApi, mode: str, **config: str) -> Json:
    spec = {
        "provider": "aws",
        "default": True,
        "accessMode": mode,
        "objectStorage": {"bucket": "velero"},
        "config": {"region": "us-east-1", "s3Url": "http://198.18.0.31:9000", **config},
    }
    status = {"phase": "Available", "lastValidationTime": ago(20), "lastSyncedTime": ago(40)}
    return add(api, f"{VELERO}/backupstoragelocations/default", spec=spec, status=status)


def backup(api: KubeApi, age: float, phase: str = "Completed") -> Json:
    status = {"phase": phase, "startTimestamp": ago(age), "completionTimestamp": ago(age - 3)}
    name = f"hourly-{age:.0f}"
    labels = {"velero.io/schedule-name": "hourly"}
    return add(api, f"{VELERO}/backups/{name}", metadata={"labels": labels}, spec={}, status=status)


@pytest.fixture
def apis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, KubeApi]]:
    """Clusters us, backed up every hour, and eu, which may restore; a fleet.yaml in the working directory."""
    monkeypatch.chdir(tmp_path)
    with KubeApi() as us, KubeApi() as eu:
        found = {"us": us, "eu": eu}
        fleet = contentkit.changed(contentkit.FLEET, {})
        for name, api in found.items():
            api.add("users", 3)
            node = add(api, "/api/v1/nodes/node")
            node["metadata"]["labels"] = {"topology.kubernetes.io/region": name}
            node["status"] = {"addresses": [{"type": "InternalIP", "address": f"198.18.0.1{len(name)}"}]}
            deployment = json.loads(json.dumps(api.deployments["users"]))
            deployment["metadata"] |= {"name": "velero", "namespace": "velero"}
            deployment["spec"]["template"]["spec"]["containers"] = [
                {"name": "velero", "image": "velero/velero:v1.18.3"}
            ]
            api.deployments["velero"] = deployment
            kubeconfig = str(api.kubeconfig(tmp_path, name))
            fleet["regions"][name]["cluster"] = {"kubeconfig": kubeconfig, "context": name, "uid": api.uid}
        location(us, "ReadWrite")
        location(eu, "ReadOnly")
        template = {"includedNamespaces": ["production"], "ttl": "72h"}
        add(
            us,
            f"{VELERO}/schedules/hourly",
            metadata={"creationTimestamp": ago(9000)},
            spec={"schedule": "0 * * * *", "template": template},
        )
        backup(us, 1800)
        backup(us, 5400)
        Path("fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))
        yield found


def lint(capsys: pytest.CaptureFixture[str], *more: str) -> list[tuple[str, str, str]]:
    """Rule, object and message of each finding."""
    invoke(["lint", "--backup", "--fleet", "fleet.yaml", "-o", "json", *more])
    return [(f["rule"], f["file"], f["message"]) for f in json.loads(capsys.readouterr().out)]


def change_fleet(**changes: Any) -> None:
    fleet = yaml.safe_load(Path("fleet.yaml").read_text())
    fleet.update(changes)
    Path("fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))


def test_a_fleet_in_order_has_nothing_to_say_and_is_only_read(
    apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]
) -> None:
    assert lint(capsys, "--rpo", "2h") == []
    assert invoke(["lint", "--backup", "--fleet", "fleet.yaml"]) == 0
    assert capsys.readouterr().err == (
        "2 clusters checked: nothing to say; without --rpo: a backup can be 1h2m old (hourly)\n"
    )
    requests = {request for api in apis.values() for request in api.requests}
    assert {method for method, _ in requests} == {"GET"}
    assert not any("secrets" in path for _, path in requests)


def test_a_store_at_an_address_of_the_cluster(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    address = apis["us"].objects["/api/v1/nodes/node"]["status"]["addresses"][0]["address"]
    location(apis["us"], "ReadWrite", s3Url=f"http://{address}:9000")
    wanted = (
        "BSB202",
        "us/velero/BackupStorageLocation/default",
        f"{address} is an address of Node node of the cluster us",
    )
    assert lint(capsys) == [wanted]
    # A name is looked up, and pods have addresses, too.
    location(apis["us"], "ReadWrite", s3Url="http://localhost:9000")
    assert lint(capsys) == []
    fleet = yaml.safe_load(Path("fleet.yaml").read_text())
    fleet["regions"]["us"]["pods"] = ["127.0.0.0/8"]
    change_fleet(regions=fleet["regions"])
    assert [message for *_, message in lint(capsys)] == ["localhost is an address of its pods of the cluster us"]


def test_a_name_that_nobody_knows_is_no_crash(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    location(apis["us"], "ReadWrite", s3Url="http://no-such-host.invalid:9000")
    location(apis["eu"], "ReadOnly", s3Url="http://[not-a-host:9000")
    assert lint(capsys) == []


def test_the_fleet_says_what_the_bucket_is_lost_with(
    apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = yaml.safe_load(Path("fleet.yaml").read_text())
    keys = {"access_key": "${env:S3_KEY}", "secret_key": "${env:S3_SECRET}"}
    place = next(iter(fleet["places"]))
    bucket = {"url": "http://198.18.0.31:9000", "place": place, "bucket": "velero", "region": "us", **keys}
    change_fleet(backups=bucket)
    assert [(rule, message) for rule, _, message in lint(capsys)] == [
        ("BSB201", "the fleet says that bucket velero is lost with us")
    ]
    change_fleet(backups=bucket | {"region": "eu"})
    assert lint(capsys) == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"phase": "Unavailable"}, "default is Unavailable"),
        ({"lastValidationTime": ago(3600)}, "lastValidationTime of default is 1h"),
        ({"lastSyncedTime": ago(3600)}, "lastSyncedTime of default is 1h"),
        ({"lastValidationTime": None}, "default has no lastValidationTime"),
        ({"lastValidationTime": "soon"}, "default has no lastValidationTime"),
    ],
)
def test_a_location_that_is_away_or_was_not_looked_at(
    apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str], status: Json, said: str
) -> None:
    location(apis["eu"], "ReadOnly")["status"] |= status
    ((rule, place, message),) = lint(capsys)
    assert (rule, place) == ("BSB503", "eu/velero/BackupStorageLocation/default")
    assert message.startswith(said)


def test_a_schedule_that_stands_still(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("hourly-1800", "hourly-5400"):
        del apis["us"].objects[f"{VELERO}/backups/{name}"]
    ((rule, place, message),) = lint(capsys)
    assert (rule, place) == ("BSB504", "us/velero/Schedule/hourly")
    assert message.startswith("there is no backup after 2h30m")
    backup(apis["us"], 7200)
    assert lint(capsys)[0][2].startswith("the newest backup is 2h")


def test_a_newest_backup_that_failed_hides_behind_no_older_one(
    apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]
) -> None:
    backup(apis["us"], 60, "PartiallyFailed")
    ((rule, place, message),) = lint(capsys)
    assert (rule, place) == ("BSB504", "us/velero/Backup/hourly-60")
    assert message == "the newest backup of hourly is PartiallyFailed"
    # One that is being made is not judged yet.
    backup(apis["us"], 30, "InProgress")["status"].pop("completionTimestamp")
    assert len(lint(capsys)) == 1


def test_the_deployment_that_restores_look_up_is_not_there(
    apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]
) -> None:
    del apis["eu"].deployments["velero"]
    ((rule, place, message),) = lint(capsys)
    assert (rule, place, message) == (
        "BSB501",
        "eu/velero/BackupStorageLocation/default",
        "eu has no Deployment velero",
    )


def test_a_namespace_of_the_fleet_s_services_that_nobody_backs_up(
    apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]
) -> None:
    spec = apis["us"].objects[f"{VELERO}/schedules/hourly"]["spec"]
    spec["template"]["includedNamespaces"] = ["velero"]
    assert {(rule, message) for rule, _, message in lint(capsys)} >= {
        ("BSB106", "no schedule takes the namespace production (users of the fleet)")
    }


def test_a_fleet_without_any_schedule(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    del apis["us"].objects[f"{VELERO}/schedules/hourly"]
    assert [(rule, message) for rule, _, message in lint(capsys)] == [
        ("BSB106", "no schedule takes the namespace production (users of the fleet)")
    ]


def test_versions_apart(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    pod = apis["eu"].deployments["velero"]["spec"]["template"]["spec"]
    pod["containers"][0]["image"] = "velero/velero:v1.12.4"
    assert [(rule, message) for rule, _, message in lint(capsys)] == [
        ("BSB502", "velero is 1.12.4; in us it is 1.18.3 (us/velero/Deployment/velero)")
    ]


def test_what_the_server_says_of_its_version(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    add(apis["eu"], f"{VELERO}/serverstatusrequests/ask", status={"serverVersion": "v1.17.0"})
    assert [rule for rule, *_ in lint(capsys)] == ["BSB502"]


def test_restores_that_were_made_are_left_alone(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    made = {"scheduleName": "hourly", "namespaceMapping": {"production": "production-dr"}}
    restore = add(apis["eu"], f"{VELERO}/restores/r", spec=made, status={"phase": "Completed"})
    assert lint(capsys) == []
    del restore["status"]
    assert [rule for rule, *_ in lint(capsys)] == ["BSB401"]


def test_no_velero_at_all_is_no_clean_fleet(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    for api in apis.values():
        api.fail = lambda method, path: (404, "no such API") if "velero.io" in path else None
    assert invoke(["lint", "--backup", "--fleet", "fleet.yaml"]) == 2
    assert "none of its 2 clusters has a Schedule or BackupStorageLocation" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["schedules", "persistentvolumeclaims", "virtualservices"])
def test_a_cluster_that_does_not_tell_is_no_clean_one(
    apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    apis["eu"].fail = lambda method, path: (403, "no") if path.endswith(kind) else None
    assert invoke(["lint", "--backup", "--fleet", "fleet.yaml"]) == 2
    assert "grant the permission to the user of the kubeconfig" in capsys.readouterr().err


def test_a_cluster_of_someone_else(apis: dict[str, KubeApi], capsys: pytest.CaptureFixture[str]) -> None:
    apis["eu"].uid = "another"
    assert invoke(["lint", "--backup", "--fleet", "fleet.yaml"]) == 2
    assert "leads to another cluster" in capsys.readouterr().err
