"""What a lab might leave behind on a machine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

_FOLDERS = (
    "/run",
    "/etc/cni",
    "/opt/cni",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/mysql",
    "/var/lib/prometheus",
    "/var/lib/redis",
    "/var/log/containers",
    "/var/log/pods",
)
Snapshot = dict[str, set[str]]


def snapshot() -> Snapshot:
    """Everything that could differ, by kind."""
    return {
        "processes": _processes(),
        "netns": _lines("ip", "netns", "list"),
        "mounts": set(Path("/proc/self/mounts").read_text().splitlines()),
        "cgroups": _cgroups(),
        "nft": _lines("nft", "list", "tables"),
        "routes": _lines("ip", "route", "show", "table", "all"),
        "links": {link["ifname"] for link in json.loads(_output("ip", "-j", "link"))},
        "files": {path for folder in _FOLDERS for path in _files(folder)},
        "forwarding": {Path("/proc/sys/net/ipv4/ip_forward").read_text()},
    }


def differences(before: Snapshot, after: Snapshot) -> dict[str, set[str]]:
    """What came or went, by kind; kinds without a difference are left out."""
    return {kind: diff for kind in before if (diff := before[kind] ^ after[kind])}


def _processes() -> set[str]:
    """Processes outside of our network or mount namespace, or in a group of the lab's."""
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt")}
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            elsewhere = any(os.readlink(folder / "ns" / kind) != own[kind] for kind in own)
            ours = "/blackstart" in (folder / "cgroup").read_text()
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue
        if (elsewhere or ours) and os.path.exists(folder / "exe"):
            found.add(f"{folder.name} {name}")
    return found


def _cgroups() -> set[str]:
    # Other programs' groups come and go by themselves; the lab's begin with its name.
    folders = (folder for folder, _, _ in os.walk("/sys/fs/cgroup"))
    return {folder for folder in folders if "blackstart" in folder or "kubepods" in folder}


def _files(folder: str) -> set[str]:
    found = {folder} if os.path.isdir(folder) else set()
    for parent, folders, files in os.walk(folder):
        found.update(os.path.join(parent, name) for name in (*folders, *files))
    return found


def _lines(*argv: str) -> set[str]:
    return set(_output(*argv).splitlines())


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
