"""Reads calls of velero (`velero schedule create`) in shell files as the objects that they make. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.schema.errors import KeyPath, Place
from blackstart.schema.manifests import Manifest

type Option = tuple[KeyPath, Callable[[str], Any]]

_PAIR = re.compile(r"([^=,:\s]+)[=:]([^,]*)")
_ALONE = {
    "--wait", "-w", "--default", "--paused", "--no-secret", "--dry-run", "--use-node-agent", "--restore-only",
    "--default-volumes-to-fs-backup", "--snapshot-volumes", "--snapshot-move-data", "--include-cluster-resources",
    "--no-default-backup-location", "--use-volume-snapshots", "--default-snapshot-move-data", "--restore-volumes",
    "--use-owner-references-in-backup", "--privileged-node-agent", "--preserve-nodeports", "--apply",
    "--allow-partially-failed", "--crds-only", "--skip-immediately",
}  # fmt: skip
"""Options that take a value only after `=`."""


def _list(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def _pairs(value: str) -> dict[str, str]:
    return dict(_PAIR.findall(value))


def _switch(value: str) -> bool:
    return value.lower() in ("true", "1", "t")


def _labels(value: str) -> dict[str, Any]:
    return {"matchLabels": {key: found for key, found in _pairs(value).items() if "=" not in found}}


def _filters(*path: str) -> dict[str, Option]:
    """The options that backups, schedules and restores have in common."""
    return {
        "--include-namespaces": ((*path, "includedNamespaces"), _list),
        "--exclude-namespaces": ((*path, "excludedNamespaces"), _list),
        "--include-resources": ((*path, "includedResources"), _list),
        "--exclude-resources": ((*path, "excludedResources"), _list),
        "--selector": ((*path, "labelSelector"), _labels),
        "-l": ((*path, "labelSelector"), _labels),
        "--include-cluster-resources": ((*path, "includeClusterResources"), _switch),
    }


def _backup(*path: str) -> dict[str, Option]:
    lists = {
        f"--{how}-{scope}-scoped-resources": (
            (*path, f"{how}d{scope.capitalize()}ScopedResources"),
            _list,
        )
        for how in ("include", "exclude")
        for scope in ("cluster", "namespace")
    }
    return {
        **_filters(*path),
        **lists,
        "--ttl": ((*path, "ttl"), str),
        "--storage-location": ((*path, "storageLocation"), str),
        "--snapshot-volumes": ((*path, "snapshotVolumes"), _switch),
        "--snapshot-move-data": ((*path, "snapshotMoveData"), _switch),
        "--default-volumes-to-fs-backup": ((*path, "defaultVolumesToFsBackup"), _switch),
    }


_LOCATION: dict[str, Option] = {
    "--provider": (("spec", "provider"), str),
    "--bucket": (("spec", "objectStorage", "bucket"), str),
    "--prefix": (("spec", "objectStorage", "prefix"), str),
    "--config": (("spec", "config"), _pairs),
    "--access-mode": (("spec", "accessMode"), str),
    "--default": (("spec", "default"), _switch),
}
KINDS: dict[str, tuple[str, dict[str, Option]]] = {
    "schedule": (
        "Schedule",
        {
            **_backup("spec", "template"),
            "--schedule": (("spec", "schedule"), str),
            "--paused": (("spec", "paused"), _switch),
        },
    ),
    "backup": ("Backup", _backup("spec")),
    "restore": (
        "Restore",
        {
            **_filters("spec"),
            "--from-backup": (("spec", "backupName"), str),
            "--from-schedule": (("spec", "scheduleName"), str),
            "--namespace-mappings": (("spec", "namespaceMapping"), _pairs),
            "--existing-resource-policy": (("spec", "existingResourcePolicy"), str),
            "--resource-modifier-configmap": (("spec", "resourceModifier", "name"), str),
        },
    ),
    "backup-location": ("BackupStorageLocation", _LOCATION),
    "snapshot-location": (
        "VolumeSnapshotLocation",
        {"--provider": (("spec", "provider"), str), "--config": (("spec", "config"), _pairs)},
    ),
}


@dataclass(frozen=True)
class _Command:
    """One call of velero: its words without options, each option's value and line."""

    words: list[str]
    options: dict[str, tuple[str, int]]
    file: str
    line: int

    def place(self, line: int) -> Place:
        return Place(self.file, line)

    def made(self, kind: str, name: str, table: dict[str, Option]) -> Manifest:
        """The object that it makes."""
        version = "apps/v1" if kind in ("Deployment", "DaemonSet") else "velero.io/v1"
        data: dict[str, Any] = {"apiVersion": version, "kind": kind, "spec": {}}
        namespace = self.options.get("--namespace", self.options.get("-n", ("velero", 0)))[0]
        data["metadata"] = {"name": name, "namespace": namespace}
        places: dict[KeyPath, Place] = {}
        for option, (path, convert) in table.items():
            if option in self.options:
                value, line = self.options[option]
                inner = data
                for key in path[:-1]:
                    inner = inner.setdefault(str(key), {})
                inner[str(path[-1])] = convert(value)
                places[path] = self.place(line)
        return Manifest(data, places, self.place(self.line))


def read_commands(text: str, file: str) -> Iterator[tuple[str, Manifest]]:
    """Every object that the calls of velero in a text make, with the cluster that `--kubeconfig` names, if any."""
    for command in _commands(text, file):
        chosen = next(
            (command.options[name][0] for name in ("--kubecontext", "--kubeconfig") if name in command.options), ""
        )
        cluster = Path(chosen).name.removesuffix(".yaml").removesuffix(".yml").removesuffix(".kubeconfig")
        yield from ((cluster, manifest) for manifest in _objects(command))


def _objects(command: _Command) -> Iterator[Manifest]:
    words = command.words
    if words[:1] == ["install"]:
        yield from _installed(command)
    elif len(words) >= 2 and "create" in words[:2]:
        kind = next(word for word in words[:2] if word != "create") if words[:2] != ["create", "create"] else ""
        # A backup from a schedule is that schedule's.
        if kind in KINDS and not (kind == "backup" and "--from-schedule" in command.options):
            name = words[2] if len(words) > 2 else command.options.get("--from-backup", (kind, 0))[0]
            yield command.made(KINDS[kind][0], name, KINDS[kind][1])


def _installed(command: _Command) -> Iterator[Manifest]:
    """What `velero install` makes, as far as lint reads it."""
    options = command.options
    location = {**_LOCATION, "--backup-location-config": (("spec", "config"), _pairs)}
    if "--bucket" in options and "--no-default-backup-location" not in options:
        made = command.made("BackupStorageLocation", "default", location)
        made.data["spec"]["default"] = True
        yield made
    if "--provider" in options and options.get("--use-volume-snapshots", ("true", 0))[0] != "false":
        snapshots: dict[str, Option] = {
            "--provider": (("spec", "provider"), str),
            "--snapshot-location-config": (("spec", "config"), _pairs),
        }
        yield command.made("VolumeSnapshotLocation", "default", snapshots)
    server = command.made("Deployment", "velero", {})
    passed = ("--features", "--default-volumes-to-fs-backup", "--default-snapshot-move-data")
    container = {"args": ["server", *(f"{name}={options[name][0]}" for name in passed if name in options)]}
    plugins = [{"image": image} for image in _list(options.get("--plugins", ("", 0))[0])]
    image = options.get("--image", ("velero/velero", 0))[0]
    pod = {"containers": [{"image": image, **container}], "initContainers": plugins}
    server.data["spec"]["template"] = {"spec": pod}
    yield server
    if options.get("--use-node-agent", ("false", 0))[0] == "true":
        yield command.made("DaemonSet", "node-agent", {})


def _commands(text: str, file: str) -> Iterator[_Command]:
    lines = text.splitlines()
    i = 0
    while i < len(lines):
        first = i
        while lines[i].rstrip().endswith("\\") and i + 1 < len(lines):
            i += 1
        i += 1
        found = _words(lines[first:i], first + 1)
        if found:
            yield _command(found, file, first + 1)


def _words(lines: list[str], number: int) -> list[tuple[str, int]]:
    """The words of a command after `velero`, each with its line; none for anything else."""
    found: list[tuple[str, int]] = []
    for n, line in enumerate(lines, number):
        try:
            words = shlex.split(line.strip().removesuffix("\\"), comments=True)
        except ValueError:
            return []
        found += ((word, n) for word in words)
    at = next((i for i, (word, _) in enumerate(found) if Path(word).name == "velero"), None)
    # `$ velero`, `sudo velero`, `HOME=/x velero`; but not `kubectl -n velero`, `echo velero`.
    leading = [word for word, _ in found[:at]]
    if at is None or not all(word in ("$", "sudo", "run:", "-") or "=" in word for word in leading):
        return []
    return found[at + 1 :]


def _command(found: list[tuple[str, int]], file: str, line: int) -> _Command:
    words: list[str] = []
    options: dict[str, tuple[str, int]] = {}
    at = 0
    while at < len(found):
        word, number = found[at]
        at += 1
        if word in ("&&", ";", "|", "||", ">", "&"):
            break
        if not word.startswith("-"):
            words.append(word)
            continue
        name, equals, value = word.partition("=")
        if not equals and name not in _ALONE and at < len(found) and not found[at][0].startswith("--"):
            value = found[at][0]
            at += 1
        options[name] = (value if equals or value else "true", number)
    return _Command(words, options, file, line)
