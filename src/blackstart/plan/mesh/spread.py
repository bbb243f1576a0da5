"""How many hosts of a service each region has: the base of every share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from blackstart.plan.mesh import hosts
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.resources import Resource
from blackstart.plan.values import mapping, whole


@dataclass(frozen=True)
class Spread:
    """Hosts by region. `assumed` says what was taken for granted; empty where the numbers are known."""

    hosts: Mapping[str, int]
    assumed: str = ""

    @property
    def total(self) -> int:
        return sum(self.hosts.values())

    @property
    def largest(self) -> str:
        """The region whose loss takes most hosts."""
        return max(self.hosts, key=lambda region: self.hosts[region])


def spread(mesh: MeshConfig, host: str) -> Spread:
    """The hosts of a service: as said, else by its Deployments, else the same number in every region."""
    found: dict[str, int] = dict(mesh.said.replicas) or _counted(mesh, host)
    if len(found) > 1 and any(found.values()):
        return Spread(found)
    count = max(2, len(mesh.regions), len(mesh.clusters))
    return Spread(
        {f"one of {count} regions": 1, **{f"other {i}": 1 for i in range(1, count)}},
        f"assuming {count} regions with equally many replicas; say --replicas us=3,eu=3 if not",
    )


def only_region(mesh: MeshConfig, host: str) -> bool:
    """Whether a service is known to be in one region only, of several whose Deployments are known."""
    return len(_counted(mesh, host)) == 1 and len({r.cluster for r in mesh.of("Deployment")}) > 1


def _counted(mesh: MeshConfig, host: str) -> dict[str, int]:
    """Replicas by region; nothing if one of them leaves the number to an autoscaler."""
    found: Counter[str] = Counter()
    for cluster in mesh.clusters:
        for deployment in _behind(mesh, host):
            if deployment.cluster != cluster.name:
                continue
            replicas = whole(deployment.spec.get("replicas"))
            if replicas is None:
                return {}
            found[cluster.region] += replicas
    return dict(found)


def _behind(mesh: MeshConfig, host: str) -> Iterator[Resource]:
    """The Deployments whose pods a Service of this host selects; without the Service, those of its name."""
    services = [s for s in mesh.of("Service") if hosts.same(hosts.service(s), host)]
    name, namespace = hosts.short(host)
    for deployment in mesh.of("Deployment"):
        mine = [s for s in services if s.cluster == deployment.cluster]
        named = not services and bool(name) and deployment.name == name
        if hosts.in_namespace(deployment, namespace) and (named or any(_selects(s, deployment) for s in mine)):
            yield deployment


def _selects(service: Resource, deployment: Resource) -> bool:
    wanted = mapping(service.spec.get("selector"))
    labels = mapping(mapping(mapping(deployment.spec.get("template")).get("metadata")).get("labels"))
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())
