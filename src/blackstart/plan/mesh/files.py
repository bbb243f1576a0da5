"""Reads the configuration of a mesh from files: each folder of YAML is a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from blackstart.plan.mesh.check import FORM, Source
from blackstart.plan.mesh.model import ClusterConfig, MeshConfig, Resource, Said, is_known
from blackstart.schema.errors import ContentError, Finding, Place, shown
from blackstart.schema.manifests import read_manifests


def read_files(paths: Sequence[Path], said: Said) -> Source:
    """The mesh that files and folders describe. Raises ContentError when there is not a single object."""
    clusters: dict[str, list[Resource]] = {}
    others: Counter[str] = Counter()
    problems: list[Finding] = []
    files = dict.fromkeys(pair for path in paths for pair in _files(path))
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


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Every file with the name of its cluster.

    A folder that has YAML files itself is one cluster, with all below it; one
    that has only folders is a cluster for each of them.
    """
    if not path.is_dir():
        yield path.absolute().parent.name, path
        return
    own = any(_is_yaml(file) for file in path.iterdir())
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    for folder in [path] if own else folders:
        for file in sorted(folder.rglob("*")):
            if _is_yaml(file) and not any(part.startswith(".") for part in file.relative_to(path).parts):
                yield folder.absolute().name, file


def _is_yaml(file: Path) -> bool:
    return file.suffix in (".yaml", ".yml") and file.is_file()


def _nothing(paths: Sequence[Path], files: int, others: int) -> ContentError:
    found = f"{files} YAML files with {others} objects of other kinds" if files else "no YAML files"
    text = f"has no mesh configuration: {found}"
    fix = "name the folder with the DestinationRules and VirtualServices"
    return ContentError([Finding(Place(", ".join(shown(path) for path in paths)), (), text, fix)])
