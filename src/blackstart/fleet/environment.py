"""The environment in which experiments use other people's Kubernetes extensions.

They take their cluster from KUBECONFIG and a context's name. Here KUBECONFIG
is a file with every cluster of the fleet and *no current context*, so an
activity that names no context, or a wrong one, finds no cluster at all.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import yaml

from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Cluster, Fleet

_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def environment(fleet: Fleet, folder: Path) -> dict[str, str]:
    """BLACKSTART_FLEET, KUBECONFIG, and BLACKSTART_CONTEXT_<ROLE> for every role and name of a region.

    Writes the merged kubeconfig into `folder`, readable by its owner only.
    Raises FleetError.
    """
    contexts = {
        variable: fleet.regions[region].cluster.context for variable, region in context_variables(fleet).items()
    }
    return {
        "BLACKSTART_FLEET": str(fleet.source or ""),
        "KUBECONFIG": str(_write(merged(region.cluster for region in fleet.regions.values()), folder)),
        **contexts,
    }


def context_variables(fleet: Fleet) -> dict[str, str]:
    """BLACKSTART_CONTEXT_<ROLE> -> region, for every role and name of a region."""
    names = {**{name: name for name in fleet.regions}, **fleet.roles}
    return {f"BLACKSTART_CONTEXT_{_variable(role)}": name for role, name in names.items() if name in fleet.regions}


def merged(clusters: Any) -> dict[str, Any]:
    """One kubeconfig with the context, cluster and user of each of the clusters, and no current context."""
    result: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "contexts": [], "clusters": [], "users": []}
    for cluster in clusters:
        for kind, entry in _parts(cluster).items():
            known = {item["name"]: item for item in result[kind]}
            if known.setdefault(entry["name"], entry) != entry:
                raise FleetError(
                    f"{cluster.kubeconfig}: another cluster of the fleet has {kind[:-1]} {entry['name']!r} too; "
                    "rename one of them"
                )
            result[kind] = list(known.values())
    return result


def _parts(cluster: Cluster) -> dict[str, dict[str, Any]]:
    try:
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        context = _named(config, "contexts", cluster.context)
        parts = {
            "contexts": context,
            "clusters": _named(config, "clusters", context["context"]["cluster"]),
            "users": _named(config, "users", context["context"]["user"]),
        }
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise FleetError(
            f"{cluster.kubeconfig}: no usable context {cluster.context!r}: {error}; correct fleet.yaml"
        ) from error
    return {kind: _absolute(entry, cluster.kubeconfig.absolute().parent) for kind, entry in parts.items()}


def _named(config: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] | None = next((item for item in config.get(kind) or [] if item["name"] == name), None)
    if found is None:
        raise KeyError(f"nothing called {name!r} under {kind}")
    return found


def _absolute(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Paths in a kubeconfig are meant from its own folder."""
    return {
        key: {k: str(folder / v) if k in _FILES else v for k, v in value.items()}
        if isinstance(value, dict)
        else value
        for key, value in entry.items()
    }


def _write(config: dict[str, Any], folder: Path) -> Path:
    text = yaml.safe_dump(config)
    path = folder / f"kubeconfig-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    temporary = folder / f".{path.name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        raise FleetError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def _variable(role: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", role).upper()
