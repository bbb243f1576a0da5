"""Deployments, StatefulSets and DaemonSets: their pods, what they claim, what they refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from blackstart.plan.resources import ClusterConfig, Resource
from blackstart.plan.values import items, mapping, text, texts
from blackstart.schema.errors import KeyPath

WORKLOADS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
_POD = ("spec", "template", "spec")
_DATABASE = re.compile(
    r"(mariadb|mysql|percona|postgres|postgresql|postgis|timescaledb|redis|valkey|mongo|mongodb|mongod)"
    r"(-(server|community|galera|cluster|xtradb|repmgr|stack|ha|sharded|standalone))*"
)


@dataclass(frozen=True)
class Claim:
    """A volume that is claimed: `pods` is the workload that mounts it, `volume` the name it has there, if known."""

    resource: Resource
    path: KeyPath
    name: str
    pods: Resource | None
    volume: str


def pod(resource: Resource) -> dict[str, Any]:
    """The PodSpec of a workload."""
    return mapping(mapping(resource.spec.get("template")).get("spec"))


def pod_metadata(resource: Resource, key: str) -> dict[str, Any]:
    """The labels or annotations of a workload's pods."""
    return mapping(mapping(mapping(resource.spec.get("template")).get("metadata")).get(key))


def containers(resource: Resource) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """The containers of a workload's pods, each with its place."""
    for key in ("containers", "initContainers"):
        for i, container in items(pod(resource).get(key)):
            yield (*_POD, key, i), container


def databases(cluster: ClusterConfig) -> Iterator[tuple[Resource, KeyPath, str]]:
    """Workloads of a known database: workload, place of the image, which database."""
    for resource in cluster.of(*WORKLOADS):
        for i, container in items(pod(resource).get("containers")):
            image = text(container.get("image")).partition("@")[0].rpartition("/")[2].partition(":")[0]
            if found := _DATABASE.fullmatch(image.lower()):
                yield resource, (*_POD, "containers", i, "image"), found[1]
                break


@lru_cache(maxsize=64)
def claims(cluster: ClusterConfig) -> tuple[Claim, ...]:
    """Every volume that is claimed, by a PersistentVolumeClaim or a StatefulSet's template of them."""
    return tuple(_claims(cluster))


def _claims(cluster: ClusterConfig) -> Iterator[Claim]:
    mounted: dict[tuple[str, str], tuple[Resource, str]] = {}
    templates: set[tuple[str, str]] = set()
    for resource in cluster.of(*WORKLOADS):
        for _, found in items(pod(resource).get("volumes")):
            if claim := text(mapping(found.get("persistentVolumeClaim")).get("claimName")):
                mounted[resource.namespace, claim] = (resource, text(found.get("name")))
        for i, template in items(resource.spec.get("volumeClaimTemplates")):
            name = text(mapping(template.get("metadata")).get("name"))
            templates.add((resource.namespace, f"{name}-{resource.name}"))
            yield Claim(resource, ("spec", "volumeClaimTemplates", i), f"{name}-{resource.name}-*", resource, name)
    for resource in cluster.of("PersistentVolumeClaim"):
        stem, _, number = resource.name.rpartition("-")
        # Live clusters have both: a StatefulSet's template, and the claims that were made of it.
        if not (number.isdecimal() and (resource.namespace, stem) in templates):
            pods, volume = mounted.get((resource.namespace, resource.name), (None, ""))
            yield Claim(resource, (), resource.name, pods, volume)


def references(resource: Resource) -> Iterator[tuple[KeyPath, str, str]]:
    """What pods cannot start without: place, resource (`secrets`), name."""
    for path, container in containers(resource):
        for i, source in items(container.get("envFrom")):
            yield from _named((*path, "envFrom", i), source, secretRef="secrets", configMapRef="configmaps")
        for i, variable in items(container.get("env")):
            source = mapping(variable.get("valueFrom"))
            yield from _named(
                (*path, "env", i, "valueFrom"), source, secretKeyRef="secrets", configMapKeyRef="configmaps"
            )
    for i, volume in items(pod(resource).get("volumes")):
        at: KeyPath = (*_POD, "volumes", i)
        secret = mapping(volume.get("secret"))
        if secret.get("secretName") and not secret.get("optional"):
            yield (*at, "secret"), "secrets", text(secret.get("secretName"))
        yield from _named(at, volume, configMap="configmaps")
    for i, secret in items(pod(resource).get("imagePullSecrets")):
        yield (*_POD, "imagePullSecrets", i), "secrets", text(secret.get("name"))
    if (account := text(pod(resource).get("serviceAccountName"))) not in ("", "default"):
        yield (*_POD, "serviceAccountName"), "serviceaccounts", account


def _named(path: KeyPath, source: dict[str, Any], **kinds: str) -> Iterator[tuple[KeyPath, str, str]]:
    for key, plural in kinds.items():
        found = mapping(source.get(key))
        # Every namespace has a kube-root-ca.crt of its own.
        if found and not found.get("optional") and found.get("name") != "kube-root-ca.crt":
            yield (*path, key), plural, text(found.get("name"))


def strings(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Every text in a value, with its place below it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, (*path, str(key)))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from strings(inner, (*path, i))


def names(value: Any) -> list[str]:
    """The texts of a list."""
    return [one for _, one in texts(value)]
