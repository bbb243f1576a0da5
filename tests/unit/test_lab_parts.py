"""One part of a mesh can be killed and comes back, and the region's other processes are not forgotten."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from blackstart.cli import cli
from blackstart.lab.cgroups import Group, Hierarchy
from blackstart.lab.processes import Processes, start_time
from blackstart.lab.topology import topology


def _processes(folder: Path) -> Processes:
    nowhere = Hierarchy(1, (), folder, folder)
    return Processes(topology(["us"]).region("us"), folder, Group(nowhere, "x"))


def test_a_part_that_was_killed_on_purpose_is_not_looked_for(tmp_path: Path) -> None:
    found = _processes(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as victim:
        running = {"gateway": {"pid": victim.pid, "start": start_time(victim.pid)}, "etcd": {"pid": 1, "start": 1}}
        (tmp_path / "pids.json").write_text(json.dumps(running))
        found.kill("gateway")
        victim.wait(5)
    assert list(found.all()) == ["etcd"]
    found.kill("gateway")
    found.forget()
    assert found.all() == {}


def test_a_part_stands_still_and_goes_on(tmp_path: Path) -> None:
    found = _processes(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as victim:
        running = {"sidecar": {"pid": victim.pid, "start": start_time(victim.pid)}}
        (tmp_path / "pids.json").write_text(json.dumps(running))
        for _ in range(2):
            found.freeze("sidecar")
            assert found.frozen("sidecar")
            assert found.all()["sidecar"].alive()
        for _ in range(2):
            found.thaw("sidecar")
            assert not found.frozen("sidecar")
        found.freeze("sidecar")
        found.kill("sidecar")
        victim.wait(5)
    for change in (found.freeze, found.thaw):
        change("sidecar")
    assert not found.frozen("sidecar")


@pytest.mark.parametrize("name", ["kill", "restore", "state"])
def test_only_parts_of_a_mesh_can_be_named(tmp_path: Path, name: str) -> None:
    done = CliRunner().invoke(cli, ["lab", name, "us", "--part", "etcd", "--state", str(tmp_path)])
    assert done.exit_code == 2
    assert "'istiod'" in done.output
