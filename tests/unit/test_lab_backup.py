"""Backups of a lab: addresses, what Velero is told, keys that are nowhere, fleet.yaml, and a real S3 server."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from loopback import free_address
from requests_aws4auth import AWS4Auth

from blackstart.cli import cli
from blackstart.fleet.model import Fleet
from blackstart.lab import backup, logins, ports
from blackstart.lab.fleetfile import fleet_document
from blackstart.lab.machine import Spec, read_spec
from blackstart.lab.metrics import MetricsTargets, prometheus_config
from blackstart.lab.parts import Parts, find_rclone
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import LabError
from blackstart.lab.toolchain import BACKUP, MESH, NATIVE, tools
from blackstart.lab.topology import STORE, topology

LAB = topology(["us", "eu", "as"], backup=True)
UIDS = {"us": "1", "eu": "2", "as": "3"}
SITES = backup.sites(LAB)


def test_the_bucket_is_outside_all_regions_with_a_link_to_each() -> None:
    assert LAB.store is not None
    assert LAB.store in LAB.members
    assert topology(["us"]).store is None
    plain = topology(["us", "eu", "as"]).wires
    assert {name: wire for name, wire in LAB.wires.items() if name in plain} == plain
    assert set(LAB.wires) - set(plain) == {"store-us", "store-eu", "store-as"}
    addresses = [end.address for wire in LAB.wires.values() for end in wire.ends]
    assert len(set(addresses)) == len(addresses)
    assert len({site.url for site in SITES.values()}) == 3
    with pytest.raises(LabError, match="cannot be a region"):
        topology([STORE])


def test_one_region_writes_and_the_others_read() -> None:
    objects = {region: {o["kind"]: o for o in backup.system_objects(site)} for region, site in SITES.items()}
    modes = {r: found["BackupStorageLocation"]["spec"]["accessMode"] for r, found in objects.items()}
    assert modes == {"us": "ReadWrite", "eu": "ReadOnly", "as": "ReadOnly"}
    assert [region for region, found in objects.items() if "Schedule" in found] == ["us"]
    # Without a Deployment of its name Velero restores nothing.
    stub = objects["eu"]["Deployment"]
    assert (stub["metadata"]["name"], stub["spec"]["replicas"]) == ("velero", 0)


def test_the_first_backup_is_the_schedules() -> None:
    [schedule] = [o for o in backup.system_objects(SITES["us"]) if o["kind"] == "Schedule"]
    first = backup.first_backup("b")
    assert first["spec"] == schedule["spec"]["template"]
    assert first["metadata"]["labels"] == {"velero.io/schedule-name": schedule["metadata"]["name"]}


def test_keys_are_in_no_command_line_and_in_no_fleet(tmp_path: Path) -> None:
    paths = LabPaths(tmp_path)
    logins.make_bucket(paths)
    access, secret = logins.read_bucket(paths)
    assert access != secret
    document = fleet_document(LAB, paths, UIDS)
    served = backup.bucket(_parts(), tmp_path, access, secret)
    velero = backup.server(_parts(), tmp_path / "kubeconfig", tmp_path)
    for text in (*served.argv, *velero.argv, str(velero.env), str(document)):
        assert access not in text
        assert secret not in text
    assert {file.stat().st_mode & 0o777 for file in paths.secrets.iterdir()} == {0o600}


def test_a_fleet_with_backups_is_accepted(tmp_path: Path) -> None:
    paths = LabPaths(tmp_path)
    logins.make_bucket(paths)
    fleet = Fleet.model_validate(fleet_document(LAB, paths, UIDS))
    assert fleet.backups is not None
    assert fleet.backups.secret_key.reveal() == logins.read_bucket(paths)[1]
    assert fleet.backups.power is not None
    assert fleet.backups.power.kill[3:] == ["lab", "kill", "store", "--state", str(tmp_path)]
    velero = fleet.regions["eu"].velero
    assert velero is not None
    assert velero.power is not None
    assert velero.power.restore[3:] == ["lab", "restore", "eu", "--part", "velero", "--state", str(tmp_path)]
    link = fleet.links["store-eu"]
    assert set(link.between) == {"store", "eu"}
    assert {(path.place, path.address.rpartition(":")[2]) for path in link.paths} == {
        ("store", "30080"),
        ("eu", "9000"),
    }
    plain = Fleet.model_validate(fleet_document(topology(["us", "eu"]), paths, UIDS))
    assert (plain.backups, plain.regions["us"].velero) == (None, None)


def test_the_spec_of_an_older_lab_has_no_backups(tmp_path: Path) -> None:
    paths = LabPaths(tmp_path)
    paths.spec.write_text('{"regions": ["us"], "complete": true, "made": []}')
    assert read_spec(paths) == Spec(("us",), complete=True)
    Spec(("us", "eu"), backup=True).write(paths)
    assert read_spec(paths) == Spec(("us", "eu"), backup=True)


def test_tools_of_a_lab() -> None:
    assert tools() == NATIVE
    assert tools(mesh=True, backup=True) == (*NATIVE, *MESH, *BACKUP)
    for tool in BACKUP:
        text = (tool.folder / "go.mod").read_text()
        assert f"tool {tool.package}" in text
        # The project's own fork of kopia, and the last cli-runtime that is served.
        assert "github.com/kopia/kopia => github.com/project-velero/kopia" in text


def test_prometheus_reads_velero_where_there_is_one() -> None:
    def jobs(backup: bool) -> list[str]:
        nowhere = Path("x")
        targets = MetricsTargets("p", "d", "a", "k", nowhere, nowhere, nowhere, backup=backup)
        return [job["job_name"] for job in prometheus_config("us", targets)["scrape_configs"]]

    assert ("velero" in jobs(True), "velero" in jobs(False)) == (True, False)


def test_backups_are_of_the_native_provider() -> None:
    done = CliRunner().invoke(cli, ["lab", "up", "--provider", "kind", "--backup"])
    assert done.exit_code == 2
    assert "only the native provider" in done.output


def test_the_bucket_wants_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = free_address()
    monkeypatch.setattr(ports, "S3", int(address.rpartition(":")[2]))
    (tmp_path / "data" / backup.BUCKET).mkdir(parents=True)
    (tmp_path / "data" / backup.BUCKET / "it").write_text("there")
    part = backup.bucket(_parts(), tmp_path, "access", "secret")
    server = subprocess.Popen(
        part.argv, env=dict(part.env or {}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://{address}/{backup.BUCKET}/it"

        def get(secret: str | None) -> int:
            auth = AWS4Auth("access", secret, "us-east-1", "s3") if secret else None
            return requests.get(url, auth=auth, timeout=5).status_code

        end = time.monotonic() + 20
        while True:
            try:
                assert get("secret") == 200
                break
            except requests.ConnectionError:
                assert time.monotonic() < end
                time.sleep(0.1)
        assert get("wrong") == 403
        assert get(None) in (400, 403)
    finally:
        server.kill()
        server.wait()


def _parts() -> Parts:
    nowhere = Path("/nowhere/x")
    built = {"velero": nowhere, "velero-plugin-for-aws": nowhere}
    return Parts(built, nowhere, (1, 6), nowhere, nowhere, nowhere, nowhere, nowhere, rclone=find_rclone())
