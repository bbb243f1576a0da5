"""Rules about Restores: names that change with the namespace, names of backups, objects that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from blackstart.plan.backup import links
from blackstart.plan.backup.model import BackupConfig
from blackstart.plan.backup.templates import covers, schedules
from blackstart.plan.backup.workloads import WORKLOADS, strings
from blackstart.plan.resources import ClusterConfig, Resource
from blackstart.plan.rules import Rules
from blackstart.plan.values import mapping, text
from blackstart.schema.errors import Finding, KeyPath

RULES: Rules[BackupConfig] = Rules()

_MESH = ("VirtualService", "DestinationRule", "ServiceEntry")
_NAMESPACE_LABELS = ("kubernetes.io/metadata.name", "name")


@dataclass(frozen=True)
class Mapped:
    """One namespace that a Restore gives another name."""

    restore: Resource
    cluster: ClusterConfig
    old: str
    new: str

    def finding(self, keys: KeyPath, message: str) -> Finding:
        return self.restore.finding(("spec", *keys), message)


def restores(config: BackupConfig) -> Iterator[tuple[ClusterConfig, Resource]]:
    """Restores that are still to be made."""
    for cluster in config.clusters:
        for resource in cluster.of("Restore"):
            if not mapping(resource.manifest.data.get("status")).get("phase"):
                yield cluster, resource


def mapped(config: BackupConfig) -> Iterator[Mapped]:
    """Every namespace that is restored under another name."""
    for cluster, resource in restores(config):
        for old, new in mapping(resource.spec.get("namespaceMapping")).items():
            if new and isinstance(new, str) and old != new:
                yield Mapped(resource, cluster, old, new)


def _restored(config: BackupConfig, one: Mapped, *kinds: str) -> Iterator[Resource]:
    """What is restored under the new name, and not rewritten while it is."""
    rewritten = one.restore.spec.get("resourceModifier")
    for resource in config.of(*kinds) if not rewritten else ():
        if resource.namespace == one.old:
            yield resource


def _host(namespace: str) -> re.Pattern[str]:
    """A host that is a service of a namespace, and nothing else."""
    return re.compile(rf"[\w*-]+\.{re.escape(namespace)}(?:\.svc(?:\.cluster\.local)?)?")


def _address(namespace: str) -> re.Pattern[str]:
    """Such a host in the midst of other text: with `.svc`, after `://`, or before a port."""
    name = rf"[\w-]+\.{re.escape(namespace)}"
    alone = r"(?<![\w.-])"
    return re.compile(
        rf"{alone}{name}\.svc(?:\.cluster\.local)?(?![\w-])"
        rf"|(?:(?<=://)|(?<=@)){name}(?=[:/\s]|$)"
        rf"|{alone}{name}(?=:\d)"
    )


@RULES.add(
    "BSB401",
    "warning",
    "A namespace is restored under its own name, or something leads from the old name to the new one.",
    why="A Service's name holds its namespace: whoever asks for the old name does not reach what was restored.",
    fix="restore under the same name, or add ExternalName Services, or a VirtualService, that lead to the new one",
    link=links.RESTORE,
)
def _renamed(config: BackupConfig) -> Iterator[Finding]:
    for one in mapped(config):
        pattern = _host(one.new)
        leading = one.cluster.of("Service", "VirtualService")
        if any(pattern.fullmatch(word) for found in leading for _, word in strings(found.spec)):
            continue
        message = (
            f"services of {one.old} are called name.{one.new}.svc there; "
            f"nothing in {one.cluster.name} leads there from name.{one.old}.svc"
        )
        yield one.finding(("namespaceMapping", one.old), message)


@RULES.add(
    "BSB402",
    "error",
    "Mesh configuration that is restored under another name does not name the old namespace.",
    why="Velero maps metadata.namespace and no host inside a spec: routes and policies go on to be for the old one.",
    fix="write hosts without their namespace, or give the Restore a resourceModifier that rewrites them",
    link=links.RESTORE,
)
def _mesh_hosts(config: BackupConfig) -> Iterator[Finding]:
    for one in mapped(config):
        for resource in _restored(config, one, *_MESH):
            for path, word in strings(resource.spec, ("spec",)):
                if _host(one.old).fullmatch(word):
                    yield resource.finding(path, f"{word} stays so when {one.restore.name} restores it as {one.new}")


@RULES.add(
    "BSB403",
    "error",
    "What pods are told (env, arguments, ConfigMaps) does not name the old namespace.",
    why="The restored service talks to the one that it is a copy of: a drill writes into production.",
    fix="write the service's name without its namespace, or give the Restore a resourceModifier that rewrites it",
    link=links.RESTORE,
)
def _values(config: BackupConfig) -> Iterator[Finding]:
    for one in mapped(config):
        for resource in _restored(config, one, *WORKLOADS, "ConfigMap"):
            for path, word in _told(resource):
                if found := _address(one.old).search(word):
                    message = f"{found[0]} stays so when {one.restore.name} restores it as {one.new}"
                    yield resource.finding(path, message)


def _told(resource: Resource) -> Iterator[tuple[KeyPath, str]]:
    if resource.kind == "ConfigMap":
        yield from strings(resource.manifest.data.get("data"), ("data",))
    else:
        path = ("spec", "template", "spec")
        yield from strings(mapping(resource.spec.get("template")).get("spec"), path)


@RULES.add(
    "BSB404",
    "error",
    "Network policies that are restored under another name do not name the old namespace.",
    why="They go on to let the old namespace in, and shut out the pods beside them: by the labels of a namespace, or "
    "by a principal.",
    fix="select pods of the same namespace by podSelector alone, or give the Restore a resourceModifier",
    link=links.RESTORE,
)
def _policies(config: BackupConfig) -> Iterator[Finding]:
    for one in mapped(config):
        for resource in _restored(config, one, "NetworkPolicy", "AuthorizationPolicy"):
            for path, word in strings(resource.spec, ("spec",)):
                if _names_namespace(path, word, one.old):
                    message = f"{word} stays so when {one.restore.name} restores it as {one.new}"
                    yield resource.finding(path, message)


def _names_namespace(path: KeyPath, word: str, namespace: str) -> bool:
    if "namespaceSelector" in path:
        return word == namespace and (path[-1] in _NAMESPACE_LABELS or "values" in path)
    principal = f"/ns/{namespace}/" in word
    return principal or (word == namespace and "namespaces" in path)


@RULES.add(
    "BSB405",
    "error",
    "A Restore names a backup as Velero calls it: schedule, `-`, YYYYMMDDhhmmss (with Schedules in the input).",
    why="A Restore of a backup that is not there is refused (phase FailedValidation).",
    fix="write scheduleName to restore the newest backup, or the whole name of one",
    link=links.DISASTER,
)
def _name(config: BackupConfig) -> Iterator[Finding]:
    names = sorted({one.resource.name for one in schedules(config)}, key=len, reverse=True)
    for _, resource in restores(config):
        backup = text(resource.spec.get("backupName"))
        schedule = next((name for name in names if backup.startswith(f"{name}-")), "")
        rest = backup.removeprefix(f"{schedule}-")
        if schedule and re.fullmatch(r"\d+", rest) and len(rest) != len("YYYYMMDDhhmmss"):
            message = f"no backup is called {backup}: those of {schedule} are called {schedule}-YYYYMMDDhhmmss"
            yield resource.finding(("spec", "backupName"), message)


@RULES.add(
    "BSB406",
    "warning",
    "A Restore says what becomes of objects that exist (with the namespace's objects in the input).",
    why="Objects that exist and differ are skipped with a warning, and the phase is Completed: old ones stay.",
    fix="restore into a namespace that is empty, or set existingResourcePolicy: update",
    link=links.RESTORE,
)
def _existing(config: BackupConfig) -> Iterator[Finding]:
    for cluster, resource in restores(config):
        if resource.spec.get("existingResourcePolicy") == "update":
            continue
        for namespace in sorted(_targets(config, resource)):
            there = [one for one in cluster.of(*WORKLOADS, "Service") if one.namespace == namespace]
            if there:
                what = f"{there[0].kind} {there[0].name}" + (f" and {len(there) - 1} more" if there[1:] else "")
                yield resource.finding(("spec",), f"{cluster.name} has {what} in {namespace} already")


def _targets(config: BackupConfig, resource: Resource) -> set[str]:
    """The namespaces that are restored into, as far as objects of them are in the input."""
    mapping_: dict[str, Any] = mapping(resource.spec.get("namespaceMapping"))
    included, excluded = resource.spec.get("includedNamespaces"), resource.spec.get("excludedNamespaces")
    taken = {
        one.namespace
        for one in config.of(*WORKLOADS, "Service")
        if one.namespace and any(template.within(one.namespace) for template in schedules(config))
    }
    return {str(mapping_.get(name, name)) for name in taken if covers(included, excluded, name)}
