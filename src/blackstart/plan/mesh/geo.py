"""Rules about routes that tie clients to a region."""

from __future__ import annotations

import re
from collections.abc import Iterator

from blackstart.plan.mesh import links
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.mesh.routes import Route, Target, routes, subsets
from blackstart.plan.rules import Rules
from blackstart.schema.errors import Finding

RULES: Rules[MeshConfig] = Rules()

_PLACES = {
    *("region", "cluster", "zone", "dc", "datacenter", "site", "geo"),
    *("us", "eu", "ap", "apac", "emea", "asia", "europe", "america", "africa", "east", "west", "north", "south"),
}
"""Words in a subset's name or labels that say that it is a place, and not a version."""


@RULES.add(
    "BSM311",
    "warning",
    "No route sends the clients of a region to one region only.",
    why="outlierDetection looks for other hosts inside the subset: when its region is lost there are none.",
    fix="send to the host without a subset and let localityLbSetting prefer the region, or to a subset without "
    "labels whose failoverPriority puts the region first",
    link=links.FAILOVER,
)
def _pinned(mesh: MeshConfig) -> Iterator[Finding]:
    for route in routes(mesh):
        targets = _regional(mesh, route)
        if route.matches and len(targets) == 1 == len(route.targets):
            text = (
                f'clients that match get subset "{targets[0].subset}" and nothing else; when it is lost they get 503'
            )
            yield route.resource.finding(route.path, text)


@RULES.add(
    "BSM312",
    "warning",
    "No route shares traffic between the subsets of regions by fixed weights.",
    why="The weight of a dead subset stays: its share of the requests fails, and the other half hides it from a look "
    "at the whole.",
    fix="send to the host without a subset; localityLbSetting.distribute shares by region and still fails over",
    link=links.DISTRIBUTE,
)
def _shared(mesh: MeshConfig) -> Iterator[Finding]:
    for route in routes(mesh):
        names = sorted({target.subset for target in _regional(mesh, route)})
        if len(names) > 1:
            text = f"requests keep going to each of {', '.join(names)}, dead or not"
            yield route.resource.finding((*route.path, "route"), text)


def _regional(mesh: MeshConfig, route: Route) -> list[Target]:
    """The destinations of a route that are subsets of one region each."""
    return [target for target in route.targets if target.subset and _is_place(mesh, route, target)]


def _is_place(mesh: MeshConfig, route: Route, target: Target) -> bool:
    labels = subsets(mesh, route.resource.cluster, target.host).get(target.subset)
    if labels == {}:
        return False  # Every pod of the service is in it; only its policy is another.
    labels = labels or {}
    if any(key.startswith(("topology.kubernetes.io/", "topology.istio.io/")) for key in labels):
        return True
    names = (
        {*mesh.regions, *(cluster.name for cluster in mesh.clusters)} if len(mesh.clusters) > 1 else {*mesh.regions}
    )
    words = {word for text in (target.subset, *labels) for word in re.split(r"[^a-z]+", text.lower())}
    return target.subset in names or bool(words & _PLACES)
