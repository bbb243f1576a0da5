"""The HTTP routes of VirtualServices and where they lead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from blackstart.plan.mesh.hosts import covers, full
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.resources import Resource
from blackstart.plan.values import items, mapping, text
from blackstart.schema.errors import KeyPath


@dataclass(frozen=True)
class Target:
    """One destination of a route; the subset is empty where it names none."""

    path: KeyPath
    host: str
    subset: str
    misplaced: bool
    """The subset stands beside the destination, where Istio does not look for it."""


@dataclass(frozen=True)
class Route:
    """One entry of `spec.http` that sends traffic somewhere."""

    resource: Resource
    path: KeyPath
    data: dict[str, Any]

    @property
    def targets(self) -> list[Target]:
        """Where it leads."""
        return list(_targets(self.resource, (*self.path, "route"), self.data.get("route")))

    @property
    def matches(self) -> bool:
        """Whether it is for some requests only, by more than their path."""
        return any(match.get("headers") or match.get("queryParams") for _, match in items(self.data.get("match")))

    def part(self, *keys: str) -> tuple[KeyPath, Any]:
        """Where a value stands and what it is."""
        value: Any = self.data
        for key in keys:
            value = mapping(value).get(key)
        return (*self.path, *keys), value


def routes(mesh: MeshConfig) -> Iterator[Route]:
    """Every HTTP route of every VirtualService, without redirects and direct responses."""
    for resource in mesh.of("VirtualService"):
        yield from of_service(resource)


def of_service(resource: Resource) -> Iterator[Route]:
    """The HTTP routes of one VirtualService."""
    for i, data in items(resource.spec.get("http")):
        if data.get("route"):
            yield Route(resource, ("spec", "http", i), data)


def all_targets(resource: Resource) -> Iterator[Target]:
    """Every destination of a VirtualService: HTTP, TLS and TCP."""
    for protocol in ("http", "tls", "tcp"):
        for i, data in items(resource.spec.get(protocol)):
            yield from _targets(resource, ("spec", protocol, i, "route"), data.get("route"))


def subsets(mesh: MeshConfig, cluster: str, host: str) -> dict[str, dict[str, Any]]:
    """The labels of every subset that the DestinationRules of one cluster define for a host."""
    return {
        text(subset.get("name")): mapping(subset.get("labels"))
        for resource in mesh.of("DestinationRule")
        if resource.cluster == cluster and covers(full(text(resource.spec.get("host")), resource), host)
        for _, subset in items(resource.spec.get("subsets"))
    }


def _targets(resource: Resource, path: KeyPath, value: Any) -> Iterator[Target]:
    for i, entry in items(value):
        destination = mapping(entry.get("destination"))
        inside, beside = text(destination.get("subset")), text(entry.get("subset"))
        host = full(text(destination.get("host")), resource)
        yield Target((*path, i), host, inside or beside, bool(beside and not inside))
