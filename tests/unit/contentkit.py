"""Content for tests: a folder with a drill, an experiment, a probe and a fleet that lint has nothing to say about."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from blackstart.lab.fleetfile import fleet_document, write_fleet
from blackstart.lab.paths import LabPaths
from blackstart.lab.topology import topology
from blackstart.schema.content import content_dir

DRILL: dict[str, Any] = {
    "drill": "demo",
    "title": "A drill",
    "experiment": "demo",
    "services": ["frontend"],
    "victims": ["primary"],
    "probes": ["ready"],
    "objectives": [
        {"kind": "rto", "service": "frontend", "objective": "5s"},
        {"kind": "reading", "service": "frontend", "probe": "ready", "bound": ">= 1"},
    ],
}
EXPERIMENT: dict[str, Any] = {
    "title": "An experiment",
    "description": "Breaks nothing.",
    "method": [
        {
            "type": "action",
            "name": "break",
            "provider": {"type": "process", "path": "true"},
            "undo": "none",
            "reason": "it breaks nothing",
        },
    ],
    "rollbacks": [
        {"type": "action", "name": "mend", "provider": {"type": "process", "path": "true"}},
    ],
}
PROBE: dict[str, Any] = {"probe": "ready", "kind": "http", "service": "frontend"}
FLEET: dict[str, Any] = {
    "fleet": "test",
    "places": {"operator": {}},
    "regions": {
        name: {"place": "operator", "cluster": {"kubeconfig": "kube.yaml", "context": name, "uid": f"uid-{name}"}}
        for name in ("us", "eu")
    },
    "services": {
        "users": {
            "tier": 0,
            "entry": {"url": "http://127.0.0.1:1/", "place": "operator"},
            "workloads": {name: {"namespace": "production", "deployment": "users"} for name in ("us", "eu")},
        }
    },
    "roles": {"frontend": "users", "primary": "us", "standby": "eu"},
}


def needs_mesh(file: Path) -> bool:
    """Whether a shipped drill or experiment is about a mesh, by the tag of its experiment."""
    return "mesh" in _tags(file)


def needs_data(file: Path) -> bool:
    """Whether it is about replicated stores."""
    return "data" in _tags(file)


def needs_multi_active(file: Path) -> bool:
    """Whether it is about one whose members all take writes."""
    return "multi-active" in _tags(file)


def needs_views(file: Path) -> bool:
    """Whether it is about views of all regions, Thanos and federation."""
    return "global-metrics" in _tags(file)


def needs_backup(file: Path) -> bool:
    """Whether it is about backups."""
    return "backup" in _tags(file)


def _tags(file: Path) -> list[str]:
    if file.parent.name == "drills":
        file = content_dir("experiments") / f"{yaml.safe_load(file.read_text())['experiment']}.yaml"
    if file.parent.name == "experiments":
        return list(yaml.safe_load(file.read_text()).get("tags", []))
    return []


def mesh_fleet(folder: Path, regions: tuple[str, ...] = ("us", "eu")) -> Path:
    """The fleet file of a lab with a mesh."""
    uids = {name: f"uid-{name}" for name in regions}
    file = folder / "mesh-fleet.yaml"
    write_fleet(fleet_document(topology(regions), LabPaths(folder), uids, mesh=True), file)
    return file


def changed(data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with values set at dotted paths; None removes the key."""
    data = copy.deepcopy(data)
    for dotted, value in changes.items():
        *outer, last = (int(part) if part.isdecimal() else part for part in dotted.split("."))
        at: Any = data
        for part in outer:
            at = at[part]
        if value is None:
            del at[last]
        elif isinstance(at, list) and last == len(at):
            at.append(value)
        else:
            at[last] = value
    return data


def write(
    folder: Path,
    *,
    drill: dict[str, Any] | None = None,
    experiment: dict[str, Any] | None = None,
    probe: dict[str, Any] | None = None,
    fleet: dict[str, Any] | None = None,
) -> Path:
    """Write the content to `folder`, with these changes; returns the drill's file."""
    for path, data, changes in (
        ("drills/demo.yaml", DRILL, drill),
        ("experiments/demo.yaml", EXPERIMENT, experiment),
        ("probes/ready.yaml", PROBE, probe),
        ("fleet.yaml", FLEET, fleet),
    ):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(changed(data, changes or {}), sort_keys=False))
    return folder / "drills" / "demo.yaml"
