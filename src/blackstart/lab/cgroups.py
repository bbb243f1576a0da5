"""Control groups: what tells the lab's processes from others, and what freezes them.

Everything of a lab runs below the group `blackstart`: `blackstart/<member>/sys`
holds the processes that the lab started, `blackstart/<region>/kubepods` the
containers. Version 1 has one tree per controller, version 2 a single one.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blackstart.lab.shell import LabError, wait_for

ROOT = "blackstart"


@dataclass(frozen=True)
class Hierarchy:
    """The machine's trees. Processes are counted in `tracking` and frozen in `freezer`.

    `beside` are trees that nothing is put into here, but that container
    runtimes use all the same.
    """

    version: int
    trees: tuple[Path, ...]
    tracking: Path
    freezer: Path
    beside: tuple[Path, ...] = ()


def hierarchy(mounts: str) -> Hierarchy:
    """The hierarchy described by the text of /proc/self/mounts. Raises LabError when none will do.

    A hybrid (version 1 with an empty version 2 tree beside it) counts as version 1.
    """
    rows = [line.split() for line in mounts.splitlines()]
    first = {row[1]: set(row[3].split(",")) for row in rows if row[2] == "cgroup"}
    unified = tuple(Path(row[1]) for row in rows if row[2] == "cgroup2")
    if not first:
        if not unified:
            raise LabError("no cgroups are mounted")
        return Hierarchy(2, unified[:1], unified[0], unified[0])
    by_controller = {c: Path(path) for path, options in first.items() for c in ("pids", "freezer") if c in options}
    if missing := {"pids", "freezer"} - set(by_controller):
        raise LabError(f"cgroup v1 without the controller {sorted(missing)[0]}")
    trees = tuple(map(Path, first))
    return Hierarchy(1, trees, by_controller["pids"], by_controller["freezer"], unified)


def current() -> Hierarchy:
    """This machine's hierarchy."""
    return hierarchy(Path("/proc/self/mounts").read_text())


@dataclass(frozen=True)
class Group:
    """A group of processes by its name, such as `blackstart/us/sys`, in every tree."""

    on: Hierarchy
    name: str

    def make(self) -> None:
        """Make the group, with its parents, ready to hold processes."""
        for tree in self.on.trees:
            path = tree
            for part in Path(self.name).parts:
                _offer_controllers(path, self.on.version)
                path = path / part
                path.mkdir(exist_ok=True)
                _copy_cpusets(path)

    @property
    def procs_files(self) -> list[Path]:
        """The files that a process writes 0 to in order to join."""
        return [tree / self.name / "cgroup.procs" for tree in self.on.trees]

    def pids(self) -> set[int]:
        """The processes in this group and below."""
        found: set[int] = set()
        for folder, _, _ in os.walk(self.on.tracking / self.name):
            with suppress(OSError):  # the group went while we looked
                found.update(map(int, (Path(folder) / "cgroup.procs").read_text().split()))
        return found

    def freeze(self, timeout: float = 10.0) -> None:
        """Stop every process in the group; returns once all stand still."""
        self._set_frozen(self.on.freezer / self.name, True)
        wait_for(f"freezing {self.name}", lambda: True if self.frozen() else None, timeout, every=0.002)

    def thaw(self) -> None:
        """Let all processes go on, also those of groups below that were frozen by themselves."""
        for folder, _, _ in os.walk(self.on.freezer / self.name):
            with suppress(FileNotFoundError):
                self._set_frozen(Path(folder), False)

    def frozen(self) -> bool:
        """Whether all processes stand still."""
        folder = self.on.freezer / self.name
        try:
            if self.on.version == 1:
                return (folder / "freezer.state").read_text().strip() == "FROZEN"
            return "frozen 1" in (folder / "cgroup.events").read_text().splitlines()
        except FileNotFoundError:
            return False

    def kill(self, timeout: float = 15.0) -> None:
        """End every process in the group, so that none can start another meanwhile.

        Frozen first, killed, then thawed: a process in a version 1 freezer
        dies only once it is thawed.
        """
        end = time.monotonic() + timeout
        while pids := self.pids():
            with suppress(LabError, FileNotFoundError):  # what will not freeze is killed all the same
                self.freeze(1.0)
            for pid in self.pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.thaw()
            if time.monotonic() > end:
                raise LabError(f"processes of {self.name} do not end: {sorted(pids)}")
            time.sleep(0.005)

    def remove(self, timeout: float = 5.0) -> None:
        """Remove the group and all below; its processes are gone already."""
        for tree in (*self.on.trees, *self.on.beside):
            top = tree / self.name

            def gone(top: Path = top) -> bool | None:
                for folder, _, _ in os.walk(top, topdown=False):
                    with suppress(OSError):  # busy for a moment after its last process died
                        os.rmdir(folder)
                return None if top.exists() else True

            wait_for(f"removing the cgroup {top}", gone, timeout)

    def _set_frozen(self, folder: Path, frozen: bool) -> None:
        if self.on.version == 1:
            (folder / "freezer.state").write_text("FROZEN" if frozen else "THAWED")
        else:
            (folder / "cgroup.freeze").write_text("1" if frozen else "0")


def _copy_cpusets(path: Path) -> None:
    """A new version 1 cpuset is empty, and takes no process until it has processors and memory."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own = path / name
        if (path / "cgroup.sane_behavior").exists() or not own.exists() or (path / "cgroup.controllers").exists():
            continue
        if not own.read_text().strip():
            own.write_text((path.parent / name).read_text())


def _offer_controllers(path: Path, version: int) -> None:
    """Version 2: a group offers its controllers to the groups below only when told to."""
    if version == 2:
        for controller in (path / "cgroup.controllers").read_text().split():
            with suppress(OSError):  # some controllers cannot be offered; the kubelet names what it lacks
                (path / "cgroup.subtree_control").write_text(f"+{controller}")
