"""What a Schedule or a Backup takes: namespaces, resources, labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from blackstart.plan.backup.cron import longest_gap
from blackstart.plan.backup.model import BackupConfig
from blackstart.plan.backup.server import argument, switched_on
from blackstart.plan.resources import ClusterConfig, Resource
from blackstart.plan.values import items, mapping, seconds, text, texts
from blackstart.schema.errors import Finding, KeyPath

SCHEDULED = "velero.io/schedule-name"
DEFAULT_TTL = 720 * 3600.0
_SHORT = {
    "cm": "configmaps", "po": "pods", "svc": "services", "sa": "serviceaccounts", "ns": "namespaces",
    "deploy": "deployments", "sts": "statefulsets", "ds": "daemonsets", "pv": "persistentvolumes",
    "pvc": "persistentvolumeclaims", "netpol": "networkpolicies", "crd": "customresourcedefinitions",
    "crds": "customresourcedefinitions", "vs": "virtualservices", "dr": "destinationrules",
    "networkpolicy": "networkpolicies",
}  # fmt: skip


def canonical(name: str) -> str:
    """The plural of a resource however it is written: `ConfigMap`, `cm`, `configmaps.v1`."""
    found = name.lower().partition(".")[0]
    found = _SHORT.get(found, found)
    return found if found.endswith("s") or found == "*" else f"{found}s"


def selects(selector: Any, labels: dict[str, Any]) -> bool:
    """Whether a label selector of Kubernetes selects an object; an empty one selects all."""
    selector = mapping(selector)
    if any(labels.get(key) != value for key, value in mapping(selector.get("matchLabels")).items()):
        return False
    for _, rule in items(selector.get("matchExpressions")):
        key, values = text(rule.get("key")), [value for _, value in texts(rule.get("values"))]
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not holds.get(text(rule.get("operator")), True):
            return False
    return True


def covers(included: Any, excluded: Any, name: str) -> bool:
    """Whether lists of names, in which `*` stands for any text, take a name; none included means all."""
    wanted = [one for _, one in texts(included)] or ["*"]
    refused = [one for _, one in texts(excluded)]
    return any(fnmatchcase(name, one) for one in wanted) and not any(fnmatchcase(name, one) for one in refused)


@dataclass(frozen=True)
class Template:
    """The BackupSpec of a Schedule (its `template`) or of a Backup, which stands at `path`."""

    resource: Resource
    cluster: ClusterConfig
    path: KeyPath

    @cached_property
    def spec(self) -> dict[str, Any]:
        found: Any = self.resource.manifest.data
        for key in self.path:
            found = mapping(mapping(found).get(str(key)))
        return mapping(found)

    @property
    def scheduled(self) -> bool:
        return self.resource.kind == "Schedule"

    @cached_property
    def gap(self) -> float | None:
        """Seconds between two backups at worst; None for a Backup, and for a schedule that Velero refuses."""
        try:
            return longest_gap(text(self.resource.spec.get("schedule"))) if self.scheduled else None
        except ValueError:
            return None

    @property
    def paused(self) -> bool:
        return self.resource.spec.get("paused") is True

    @cached_property
    def ttl(self) -> float:
        """Seconds that a backup is kept."""
        said = seconds(self.spec.get("ttl")) or seconds(argument(self.cluster, "default-backup-ttl"))
        return said or DEFAULT_TTL

    def within(self, namespace: str) -> bool:
        """Whether it takes objects of a namespace."""
        return covers(self.spec.get("includedNamespaces"), self.spec.get("excludedNamespaces"), namespace)

    def left_out(self, resource: str, scope: str = "Namespace") -> KeyPath | None:
        """Where it is said that a resource of this scope (or `Cluster`) is not taken; None where it is."""
        if scope == "Cluster" and self.spec.get("includeClusterResources") is False:
            return (*self.path, "includeClusterResources")
        for included, excluded in (
            ("includedResources", "excludedResources"),
            (f"included{scope}ScopedResources", f"excluded{scope}ScopedResources"),
        ):
            wanted = {canonical(name) for _, name in texts(self.spec.get(included))}
            for i, name in texts(self.spec.get(excluded)):
                if canonical(name) in ("*", resource):
                    return (*self.path, excluded, i)
            if wanted and not wanted & {"*", resource}:
                return (*self.path, included)
        return None

    def selected(self, labels: dict[str, Any]) -> bool:
        """Whether its label selectors select an object."""
        either = [one for _, one in items(self.spec.get("orLabelSelectors"))]
        if either:
            return any(selects(one, labels) for one in either)
        return selects(self.spec.get("labelSelector"), labels)

    def takes(self, resource: Resource, plural: str) -> bool:
        """Whether an object is in the backup."""
        labels = mapping(resource.metadata.get("labels"))
        inside = bool(resource.namespace) and self.within(resource.namespace)
        return inside and self.left_out(plural) is None and self.selected(labels)

    def switch(self, name: str, server: str) -> bool:
        """A switch of the spec; where it is not set, the server's option."""
        value = self.spec.get(name)
        return value if isinstance(value, bool) else switched_on(self.cluster, server)

    def finding(self, keys: KeyPath, message: str, fix: str = "") -> Finding:
        """A finding about a value of the spec."""
        return self.resource.finding((*self.path, *keys), message, fix)


def templates(config: BackupConfig) -> Iterator[Template]:
    """Every Schedule, and every Backup that is still to be made by itself."""
    for cluster in config.clusters:
        for resource in cluster.of("Schedule"):
            yield Template(resource, cluster, ("spec", "template"))
        for resource in cluster.of("Backup"):
            made = mapping(resource.metadata.get("labels")).get(SCHEDULED) or resource.manifest.data.get("status")
            if not made:
                yield Template(resource, cluster, ("spec",))


def schedules(config: BackupConfig) -> Iterator[Template]:
    """Every Schedule."""
    return (template for template in templates(config) if template.scheduled)
