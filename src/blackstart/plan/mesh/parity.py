"""Rules about clusters that should be configured alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from blackstart.plan.mesh import links
from blackstart.plan.mesh.model import ROUTING, MeshConfig
from blackstart.plan.resources import ClusterConfig, Resource
from blackstart.plan.rules import Rules
from blackstart.schema.errors import Finding, KeyPath

RULES: Rules[MeshConfig] = Rules()

_WHY = "Each istiod reads the objects of its own cluster only, so the survivor goes by its own copy."


@RULES.add(
    "BSM511",
    "warning",
    "DestinationRules, VirtualServices and ServiceEntries of one name are the same in every cluster.",
    why=_WHY,
    fix="apply one file to every cluster",
    link=links.MULTI_PRIMARY,
)
def _alike(mesh: MeshConfig) -> Iterator[Finding]:
    for one, other in combinations(mesh.clusters, 2):
        theirs = _by_name(one)
        for name, resource in _by_name(other).items():
            twin = theirs.get(name)
            if twin and twin.spec != resource.spec:
                path = _difference(twin.spec, resource.spec, ("spec",))
                yield resource.finding(path, f"differs from {one.name} ({twin.manifest.place(path)})")


@RULES.add(
    "BSM512",
    "warning",
    "DestinationRules, VirtualServices and ServiceEntries are in every cluster that has any.",
    why=_WHY,
    fix="apply it to the other cluster too",
    link=links.MULTI_PRIMARY,
)
def _everywhere(mesh: MeshConfig) -> Iterator[Finding]:
    configured = {cluster.name: _by_name(cluster) for cluster in mesh.clusters if any(cluster.of(*ROUTING))}
    for named in configured.values():
        for name, resource in named.items():
            without = [other for other, there in configured.items() if name not in there]
            if without:
                yield resource.finding((), f"{resource.kind} {resource.name} is not in {', '.join(without)}")


def _by_name(cluster: ClusterConfig) -> dict[tuple[str, str, str], Resource]:
    return {(r.kind, r.namespace, r.name): r for r in cluster.of(*ROUTING)}


def _difference(one: object, other: object, path: KeyPath) -> KeyPath:
    """The path of the first value that is not the same."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = next((key for key in {**one, **other} if one.get(key) != other.get(key)), None)
        return path if keys is None else _difference(one.get(keys), other.get(keys), (*path, keys))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        i = next(i for i, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
        return _difference(one[i], other[i], (*path, i))
    return path
