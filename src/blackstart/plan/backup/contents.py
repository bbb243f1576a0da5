"""Rules about what is in a backup: namespaces, resources, what they need."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase

from blackstart.plan.backup import links
from blackstart.plan.backup.model import BackupConfig
from blackstart.plan.backup.templates import Template, templates
from blackstart.plan.backup.workloads import WORKLOADS, references
from blackstart.plan.resources import ClusterConfig
from blackstart.plan.rules import Rules
from blackstart.plan.values import items, mapping, text, texts
from blackstart.schema.errors import Finding

RULES: Rules[BackupConfig] = Rules()

_EXCLUDED = "velero.io/exclude-from-backup"
_APPLICATION = {
    **WORKLOADS,
    "Service": "services",
    "ConfigMap": "configmaps",
    "VirtualService": "virtualservices",
    "DestinationRule": "destinationrules",
    "NetworkPolicy": "networkpolicies",
}
"""What is a part of a service; volumes have rules of their own."""


def namespaces(cluster: ClusterConfig) -> set[str]:
    """The namespaces that a cluster is known to have."""
    return {one.namespace for one in cluster.resources} | {one.name for one in cluster.of("Namespace")} - {""}


@RULES.add(
    "BSB301",
    "error",
    "Every namespace that is included exists (with Namespaces, or names that are nearly the same, in the input).",
    why="A backup of a namespace that is not there is Completed, and empty.",
    fix="correct the name in includedNamespaces",
    link=links.FILTER,
)
def _namespaces(config: BackupConfig) -> Iterator[Finding]:
    for one in templates(config):
        there = sorted(namespaces(one.cluster) - {one.resource.namespace})
        # Files may leave namespaces out; where they declare some, or a name is nearly one of them, it is a slip.
        whole = bool(config.live) or any(r.name != one.resource.namespace for r in one.cluster.of("Namespace"))
        for i, name in texts(one.spec.get("includedNamespaces")):
            near = get_close_matches(name, there, 1)
            if name != one.resource.namespace and (near or (there and whole)) and not _matched(name, there):
                fix = f'did you mean "{near[0]}"?' if near else ""
                yield one.finding(("includedNamespaces", i), f"{one.cluster.name} has no namespace {name}", fix)


def _matched(name: str, there: list[str]) -> bool:
    return any(fnmatchcase(namespace, name) for namespace in there)


@RULES.add(
    "BSB302",
    "error",
    "The label selector of a backup selects something (with objects of applications in the input).",
    why="A selector that matches nothing makes a backup that is Completed, and empty.",
    fix="correct the labels, or remove the selector",
    link=links.FILTER,
)
def _selector(config: BackupConfig) -> Iterator[Finding]:
    for one in templates(config):
        key = next((name for name in ("labelSelector", "orLabelSelectors") if one.spec.get(name)), "")
        inside = [r for r in one.cluster.of(*_APPLICATION) if r.namespace and one.within(r.namespace)]
        if key and inside and not any(one.selected(mapping(r.metadata.get("labels"))) for r in inside):
            message = f"none of {len(inside)} objects in its namespaces carries these labels"
            yield one.finding((key,), message)


@RULES.add(
    "BSB303",
    "error",
    "Nothing is left out that a service needs.",
    why="What is not in the backup is not restored: pods without their Secrets and ConfigMaps do not start.",
    fix="take it out of excludedResources (or into includedResources); leave out only what controllers make anew: "
    "pods, replicasets.apps, endpoints, endpointslices, events",
    link=links.FILTER,
)
def _needed(config: BackupConfig) -> Iterator[Finding]:
    for one in templates(config):
        for plural, needed in _needs(one).items():
            if path := one.left_out(plural):
                yield one.resource.finding(path, f"leaves out {plural}: {needed}")


def _needs(one: Template) -> dict[str, str]:
    """Resources that services in the backup have or refer to, each with an example."""
    found: dict[str, str] = {}
    for resource in one.cluster.of(*_APPLICATION):
        if not resource.namespace or not one.within(resource.namespace):
            continue
        what = f"{resource.kind} {resource.namespace}/{resource.name} ({resource.where})"
        if resource.name != "kube-root-ca.crt":
            found.setdefault(_APPLICATION[resource.kind], what)
        for path, plural, name in references(resource) if resource.kind in WORKLOADS else ():
            at = resource.manifest.place(path)
            found.setdefault(plural, f"{resource.kind} {resource.namespace}/{resource.name} needs {name} ({at})")
    return found


@RULES.add(
    "BSB304",
    "warning",
    "Cluster-wide rights of a service are in its backup.",
    why="With includeClusterResources: false, or ClusterRoleBindings left out, its ServiceAccount comes back without "
    "them.",
    fix="leave includeClusterResources unset: Velero then takes what the objects of the namespaces need",
    link=links.FILTER,
)
def _cluster_wide(config: BackupConfig) -> Iterator[Finding]:
    for one in templates(config):
        path = one.left_out("clusterrolebindings", "Cluster")
        if not path:
            continue
        for binding in one.cluster.of("ClusterRoleBinding"):
            for _, subject in items(binding.manifest.data.get("subjects")):
                namespace, name = text(subject.get("namespace")), text(subject.get("name"))
                if subject.get("kind") == "ServiceAccount" and namespace and one.within(namespace):
                    message = f"{namespace}/{name} has ClusterRoleBinding {binding.name} ({binding.where})"
                    yield one.resource.finding(path, message)


@RULES.add(
    "BSB305",
    "warning",
    f"No object of a service is kept out of backups by its label ({_EXCLUDED}).",
    why="Such a label outlives the reason for it, and works whatever a Schedule includes.",
    fix="remove the label",
    link=links.FILTER,
)
def _labelled(config: BackupConfig) -> Iterator[Finding]:
    taking = list(templates(config))
    for resource in config.of(*_APPLICATION, "PersistentVolumeClaim", "Namespace"):
        namespace = resource.name if resource.kind == "Namespace" else resource.namespace
        labelled = mapping(resource.metadata.get("labels")).get(_EXCLUDED) in ("true", True)
        if labelled and any(one.within(namespace) for one in taking if one.cluster.name == resource.cluster):
            yield resource.finding(("metadata", "labels", _EXCLUDED), f"{resource.kind} {resource.name} is left out")
