"""Thanos and the federation of a lab: what they are told, what fleet.yaml says, what the command line takes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from blackstart.cli import cli
from blackstart.fleet.model import Fleet
from blackstart.lab import observers, ports
from blackstart.lab.fleetfile import fleet_document
from blackstart.lab.parts import check_thanos
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import LabError
from blackstart.lab.topology import OBSERVER, topology

LAB = topology(["us", "eu"])
UIDS = {"us": "1", "eu": "2"}


def test_stores_are_strict_and_lie_behind_the_observers_links() -> None:
    addresses = LAB.at(OBSERVER, ports.STORE_API)
    ends = {name: LAB.wires[f"observer-{name}"].end_of(name).address for name in UIDS}
    assert addresses == {name: f"{address}:10901" for name, address in ends.items()}
    endpoints = observers.stores_config(addresses)["endpoints"]
    assert endpoints == [{"address": address, "strict": True} for address in addresses.values()]


def test_each_region_has_a_job_of_its_own_and_keeps_its_labels(tmp_path: Path) -> None:
    config = observers.federation_config(LAB.at(OBSERVER, ports.PROMETHEUS))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert list(jobs) == ["federate-us", "federate-eu"]
    assert all(job["honor_labels"] for job in jobs.values())
    if shutil.which("promtool"):
        path = tmp_path / "prometheus.yml"
        path.write_text(json.dumps(config))
        done = subprocess.run(["promtool", "check", "config", str(path)], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stdout + done.stderr


def test_fleet_yaml_says_who_must_have_answered(tmp_path: Path) -> None:
    fleet = Fleet.model_validate(fleet_document(LAB, LabPaths(tmp_path), UIDS, global_metrics=True))
    assert fleet.prometheus is not None
    assert fleet.federation is not None
    assert (fleet.prometheus.kind, fleet.prometheus.stores) == ("thanos", LAB.at(OBSERVER, ports.STORE_API))
    assert fleet.federation.jobs == {"us": "federate-us", "eu": "federate-eu"}
    us = fleet.regions["us"]
    assert us.sidecar is not None
    assert (us.sidecar.address, us.sidecar.place) == (fleet.prometheus.stores["us"], "observer")
    for part, found in (("prometheus", us.prometheus), ("sidecar", us.sidecar)):
        assert found is not None
        assert found.power is not None
        assert found.power.freeze is not None
        more = ["us", "--part", part, "--state", str(tmp_path)]
        assert [found.power.kill[4:], found.power.freeze[4:]] == [["kill", *more], ["freeze", *more]]


def test_a_lab_without_has_its_regions_prometheus_alone(tmp_path: Path) -> None:
    fleet = Fleet.model_validate(fleet_document(LAB, LabPaths(tmp_path), UIDS))
    us = fleet.regions["us"]
    assert (fleet.prometheus, fleet.federation, us.sidecar) == (None, None, None)
    assert us.prometheus is not None
    assert us.prometheus.power is not None


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["up", "--global-metrics", "--provider", "kind"], "only the native provider has it"),
        (["freeze", "us", "--part", "mariadb"], "is not one of 'prometheus', 'sidecar'"),
    ],
)
def test_what_the_command_line_refuses(tmp_path: Path, argv: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, ["lab", *argv, "--state", str(tmp_path)])
    assert done.exit_code == 2
    assert said in done.output


def test_a_thanos_that_would_die_of_its_first_call_is_refused(tmp_path: Path) -> None:
    thanos = tmp_path / "thanos"
    thanos.write_text("#!/bin/sh\necho 'thanos, version 0.42.4' >&2; echo \"  tags: $TAGS\" >&2\n")
    thanos.chmod(0o755)
    with pytest.raises(LabError, match=r"without the tag slicelabels(.|\n)*0\.42\.4"):
        check_thanos(thanos)
    thanos.write_text("#!/bin/sh\necho '  tags:             netgo,slicelabels' >&2\n")
    check_thanos(thanos)
