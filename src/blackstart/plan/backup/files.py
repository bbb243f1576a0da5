"""Reads backups from files: YAML, and shell files that call velero; each folder is a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from blackstart.plan.backup.check import FORM, Source
from blackstart.plan.backup.commands import read_commands
from blackstart.plan.backup.model import VELERO, BackupConfig, Said, is_known
from blackstart.plan.folders import YAML, cluster_files
from blackstart.plan.resources import ClusterConfig, Resource
from blackstart.plan.values import text
from blackstart.schema.errors import ContentError, Finding, Place, shown
from blackstart.schema.manifests import Manifest, read_manifests

SHELL = (".sh",)
_MAX = 1 << 20


def read_files(paths: Sequence[Path], said: Said) -> Source:
    """The backups that files and folders describe. Raises ContentError when there is no object of Velero."""
    clusters: dict[str, list[Resource]] = {}
    others: Counter[str] = Counter()
    problems: list[Finding] = []
    files = dict.fromkeys(pair for path in paths for pair in cluster_files(path, (*YAML, *SHELL)))
    for folder, file in files:
        found, ignored, wrong = _read(file)
        for cluster, manifest in found:
            name = cluster or folder
            clusters.setdefault(name, []).append(Resource(text(manifest.data.get("kind")), name, manifest))
        others.update(ignored)
        problems += (replace(finding, rule=FORM.id) for finding in wrong)
    versions = (text(one.manifest.data.get("apiVersion")) for found in clusters.values() for one in found)
    if not any(version.startswith(f"{VELERO}/") for version in versions) and not problems:
        raise _nothing(paths, len(files))
    config = BackupConfig(tuple(ClusterConfig(name, tuple(found)) for name, found in clusters.items()), said)
    return Source(config, f"{len(files)} file{'s' if len(files) > 1 else ''}", others, tuple(problems))


def _read(file: Path) -> tuple[list[tuple[str, Manifest]], list[str], list[Finding]]:
    """What a file has, each with the cluster that it names itself."""
    if file.suffix not in SHELL:
        manifests, ignored, wrong = read_manifests(file, is_known)
        return [("", manifest) for manifest in manifests], ignored, wrong
    try:
        if file.stat().st_size > _MAX:
            raise ValueError(f"is longer than {_MAX} bytes")
        return list(read_commands(file.read_text("utf-8"), shown(file))), [], []
    except (OSError, ValueError) as error:
        said = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        return [], [], [Finding(Place(shown(file)), (), said)]


def _nothing(paths: Sequence[Path], files: int) -> ContentError:
    said = f"has no object of Velero in {files} files ({', '.join((*YAML, *SHELL))})"
    fix = "name the folder with the Schedules and BackupStorageLocations"
    return ContentError([Finding(Place(", ".join(shown(path) for path in paths)), (), said, fix)])
