"""What a lab borrows from the machine beside its state folder, and gives back: one lab per machine."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TextIO

from blackstart.lab import network
from blackstart.lab.cgroups import ROOT, Group, Hierarchy
from blackstart.lab.commands import BOUND, EMPTY
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import LabError, run
from blackstart.lab.toolchain import cache_dir
from blackstart.lab.topology import EDGE, STORE

_NETNS = Path("/run/netns")
_LOGS = "logs"


@dataclass(frozen=True)
class Spec:
    """What `lab.json` says: the regions, whether `up` came to its end, and the folders it had to make."""

    regions: tuple[str, ...]
    complete: bool = False
    made: tuple[str, ...] = ()
    mesh: bool = False
    data: bool = False
    semi_sync: bool = False
    backup: bool = False

    def write(self, paths: LabPaths) -> None:
        new = paths.spec.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        os.replace(new, paths.spec)


def read_spec(paths: LabPaths) -> Spec | None:
    """The lab that this state folder holds, or None."""
    try:
        found = json.loads(paths.spec.read_text())
    except FileNotFoundError:
        return None
    return Spec(**{**found, "regions": tuple(found["regions"]), "made": tuple(found["made"])})


@contextmanager
def lock(path: Path | None = None, *, shared: bool = False, timeout: float = 120.0) -> Iterator[None]:
    """Hold the machine's lab: `up` and `down` alone, commands on a region together; or another file.

    Raises LabError when another command holds it for longer than `timeout` seconds.
    """
    path = path or cache_dir() / "lab.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    end = time.monotonic() + timeout
    with path.open("w") as file:
        while not _locked(file, kind):
            if time.monotonic() > end:
                raise LabError(f"another `blackstart lab` command has held {path} for {timeout:g} s")
            time.sleep(0.05)
        yield


def _locked(file: TextIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def refuse_foreign(paths: LabPaths, cgroups: Hierarchy) -> None:
    """Raises LabError, naming its folder, when another state folder's lab runs here; cleans up one that died."""
    owner = network.bridge_owner()
    if owner in (None, str(paths.root)):
        return
    if Group(cgroups, ROOT).pids():
        raise LabError(
            f"a lab runs on this machine already; its state is in {owner}: "
            f"`blackstart lab down --state {owner}` ends it"
        )
    clean(LabPaths(Path(owner)), cgroups)


def refuse_used(paths: LabPaths) -> None:
    """Raises LabError when the state folder holds files that no lab put there: it is emptied later."""
    if paths.spec.exists() or paths.kind.exists() or not paths.root.exists():
        return
    for entry in paths.root.iterdir():
        logs_only = entry.is_dir() and {part.name for part in entry.iterdir()} <= {_LOGS}
        if not logs_only and entry != paths.events:
            raise LabError(f"{paths.root} is not a lab's folder, {entry.name} is in it; --state names another")


def borrow(paths: LabPaths, wanted: Spec) -> Spec:
    """Empty the state folder, and make the folders that nodes mount over.

    Those that were missing are recorded before they are made.
    """
    refuse_used(paths)
    shutil.rmtree(paths.root, ignore_errors=True)
    paths.root.mkdir(parents=True)
    folders = [Path(p) for p in (*EMPTY, *BOUND.values())]
    spec = replace(wanted, made=tuple(str(p) for p in folders if not p.exists()))
    spec.write(paths)
    for folder in map(Path, spec.made):
        if folder != _NETNS:  # `ip netns` makes that one
            folder.mkdir(parents=True, exist_ok=True)
    return spec


def clean(paths: LabPaths, cgroups: Hierarchy) -> None:
    """End and remove every trace of a lab, whole or not, except its logs. Raises LabError."""
    group = Group(cgroups, ROOT)
    group.kill()
    network.remove()
    _unmount_below(paths.root)
    group.remove()
    if spec := read_spec(paths):
        for folder in spec.made:
            _give_back(Path(folder))
        _wipe(paths, spec)


def _give_back(folder: Path) -> None:
    if folder == _NETNS and str(folder) in _mounts() and not any(folder.iterdir()):
        run(["umount", str(folder)])
    with suppress(OSError):  # somebody else uses it by now
        folder.rmdir()


def _unmount_below(root: Path) -> None:
    """A node's mounts live in its own mount namespace; this is for what escaped from it."""
    below = [mount for mount in _mounts() if mount.startswith(f"{root}/")]
    for mount in sorted(below, key=len, reverse=True):
        run(["umount", "-l", mount])


def _mounts() -> list[str]:
    """Where something is mounted; a bind mount of the same file system shows only here."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1].encode().decode("unicode_escape") for line in lines]


def _wipe(paths: LabPaths, spec: Spec) -> None:
    """Remove the state, except what explains it afterwards: logs and events."""
    for name in (*spec.regions, EDGE, STORE):
        folder = paths.member(name)
        for part in folder.iterdir() if folder.is_dir() else ():
            if part.name != _LOGS:
                shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink()
    shutil.rmtree(paths.secrets, ignore_errors=True)
    (paths.root / "stores.lock").unlink(missing_ok=True)
    paths.fleet.unlink(missing_ok=True)
    paths.spec.unlink()
