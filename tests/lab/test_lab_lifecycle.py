"""A lab comes and goes without a trace, whatever happens in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labdrill import end
from machine_state import Snapshot, differences, snapshot

from blackstart.lab import native
from blackstart.lab.paths import LabPaths
from blackstart.lab.processes import recorded
from blackstart.lab.shell import LabError

_LAB = [sys.executable, "-m", "blackstart", "lab"]


@pytest.fixture
def before(session_lab: Any) -> Snapshot:
    """The machine without a lab."""
    session_lab.down()
    return snapshot()


@pytest.fixture
def paths(before: Snapshot, tmp_path: Path) -> Iterator[LabPaths]:
    """A place for a lab of the test's own, which does not outlive it."""
    own = LabPaths(tmp_path / "lab")
    yield own
    native.down(own, print)


def _pids(paths: LabPaths) -> dict[str, int]:
    files = paths.root.glob("*/pids.json")
    return {f"{f.parent.name} {name}": p.pid for f in files for name, p in recorded(f).items()}


def test_up_twice_refused_elsewhere_then_down_leaves_nothing(
    before: Snapshot, paths: LabPaths, tmp_path: Path
) -> None:
    native.up(["us", "eu"], paths, print, global_metrics=True)
    assert set(differences(before, snapshot())) >= {"processes", "netns", "cgroups", "routes", "links"}
    pids = _pids(paths)
    assert {"us sidecar", "eu sidecar", "observer querier", "observer federation"} <= set(pids)
    again = native.up(["us", "eu"], paths, print, global_metrics=True)
    assert (_pids(paths), list(again.regions)) == (pids, ["us", "eu"])

    other = LabPaths(tmp_path / "other")
    with pytest.raises(LabError, match=str(paths.root)):
        native.up(["us", "eu"], other, print)
    with pytest.raises(LabError, match=str(paths.root)):
        native.down(other, print)
    with pytest.raises(LabError, match="regions us,eu, no mesh, no stores and global metrics runs"):
        native.up(["us", "eu"], paths, print)
    assert _pids(paths) == pids

    native.freeze("us", paths, "prometheus")
    native.kill("eu", paths, "sidecar")
    native.down(paths, print)
    assert differences(before, snapshot()) == {}
    native.down(paths, print)


def test_a_lab_with_stores_leaves_nothing_whatever_state_they_are_in(before: Snapshot, paths: LabPaths) -> None:
    native.up(["us", "eu"], paths, print, data=True, semi_sync=True, backup=True)
    assert {"us mariadb", "us redis", "eu mariadb", "eu redis"} <= set(_pids(paths))
    with pytest.raises(LabError, match="semi-synchronous stores and backups runs"):
        native.up(["us", "eu"], paths, print, data=True)
    native.kill("us", paths, "mariadb")
    native.kill("us", paths, "velero")
    native.freeze("eu", paths)
    native.freeze("store", paths)
    native.down(paths, print)
    assert differences(before, snapshot()) == {}
    assert not paths.secrets.exists()
    for member in ("us", "store"):
        assert {part.name for part in (paths.root / member).iterdir()} == {"logs"}


@pytest.mark.parametrize("after", [0.9, 1.5, 3.0, 6.0])
def test_up_killed_half_way_is_cleaned_by_down(before: Snapshot, paths: LabPaths, after: float) -> None:
    _kill_up(paths, after, signal.SIGKILL)
    native.down(paths, print)
    assert differences(before, snapshot()) == {}


def test_up_killed_half_way_is_followed_by_up(before: Snapshot, paths: LabPaths) -> None:
    _kill_up(paths, 5.0, signal.SIGKILL)
    assert list(native.up(["us"], paths, print).regions) == ["us"]
    native.down(paths, print)
    assert differences(before, snapshot()) == {}


@pytest.mark.parametrize("after", [2.0, 3.5, 5.0])
def test_interrupted_up_cleans_after_itself(before: Snapshot, paths: LabPaths, after: float) -> None:
    _kill_up(paths, after, signal.SIGTERM)
    assert differences(before, snapshot()) == {}


@pytest.mark.parametrize("after", [4.0, 7.0, *(pytest.param(s, marks=pytest.mark.full) for s in (5.0, 10.0, 15.0))])
def test_interrupted_up_of_a_whole_lab_cleans_after_itself(before: Snapshot, paths: LabPaths, after: float) -> None:
    _kill_up(paths, after, signal.SIGTERM, "--data", "--backup", "--global-metrics", "--mesh")
    assert differences(before, snapshot()) == {}


def test_leftovers_of_a_lab_that_died_elsewhere_do_not_stop_another(
    before: Snapshot, paths: LabPaths, tmp_path: Path
) -> None:
    _kill_up(paths, 2.0, signal.SIGKILL)
    native.NativeLab(native.topology(["us", "eu"]), paths).end_processes()
    other = LabPaths(tmp_path / "other")
    native.up(["us"], other, print)
    native.down(other, print)
    assert differences(before, snapshot()) == {}


def test_a_lab_whose_region_and_edge_died_is_completed_by_up(before: Snapshot, paths: LabPaths) -> None:
    native.up(["us", "eu"], paths, print)
    native.kill("us", paths)
    end(_pids(paths)["edge envoy"])
    native.up(["us", "eu"], paths, print)
    assert [native.power_state(r, paths) for r in ("us", "eu")] == ["up", "up"]
    native.freeze("eu", paths)
    native.kill("us", paths)
    native.down(paths, print)
    assert differences(before, snapshot()) == {}


def test_a_folder_with_other_files_is_left_alone(before: Snapshot, paths: LabPaths) -> None:
    (paths.root / "us").mkdir(parents=True)
    (paths.root / "us/thesis.txt").touch()
    with pytest.raises(LabError, match="not a lab's folder"):
        native.up(["us"], paths, print)
    native.down(paths, print)
    assert (paths.root / "us/thesis.txt").exists()
    assert differences(before, snapshot()) == {}


def _kill_up(paths: LabPaths, after: float, with_signal: signal.Signals, *options: str) -> None:
    """`after` seconds: the first second or so is Python's."""
    argv = [*_LAB, "up", "--state", str(paths.root), *options]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            time.sleep(after)
            assert process.poll() is None, process.communicate()[0]
            process.send_signal(with_signal)
            print(process.communicate(timeout=40)[0])
        finally:
            process.kill()
