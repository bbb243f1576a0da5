"""Reads the configuration of a mesh from files: each folder of YAML is a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from blackstart.plan.folders import cluster_files
from blackstart.plan.mesh.check import FORM, Source
from blackstart.plan.mesh.model import MeshConfig, Said, is_known
from blackstart.plan.resources import ClusterConfig, Resource
from blackstart.schema.errors import ContentError, Finding, Place, shown
from blackstart.schema.manifests import read_manifests


def read_files(paths: Sequence[Path], said: Said) -> Source:
    """The mesh that files and folders describe. Raises ContentError when there is not a single object."""
    clusters: dict[str, list[Resource]] = {}
    others: Counter[str] = Counter()
    problems: list[Finding] = []
    files = dict.fromkeys(pair for path in paths for pair in cluster_files(path))
    for cluster, file in files:
        manifests, ignored, wrong = read_manifests(file, is_known)
        found = (Resource(str(manifest.data.get("kind")), cluster, manifest) for manifest in manifests)
        clusters.setdefault(cluster, []).extend(found)
        others.update(ignored)
        problems += (replace(finding, rule=FORM.id) for finding in wrong)
    if not any(clusters.values()) and not problems:
        raise _nothing(paths, len(files), sum(others.values()))
    mesh = MeshConfig(tuple(ClusterConfig(name, tuple(found)) for name, found in clusters.items()), said)
    return Source(mesh, f"{len(files)} file{'s' if len(files) > 1 else ''}", others, tuple(problems))


def _nothing(paths: Sequence[Path], files: int, others: int) -> ContentError:
    found = f"{files} YAML files with {others} objects of other kinds" if files else "no YAML files"
    text = f"has no mesh configuration: {found}"
    fix = "name the folder with the DestinationRules and VirtualServices"
    return ContentError([Finding(Place(", ".join(shown(path) for path in paths)), (), text, fix)])
