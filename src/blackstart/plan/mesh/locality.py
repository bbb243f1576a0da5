"""Rules about localityLbSetting: what it needs, and what of it excludes what."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.mesh import links
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.mesh.policy import policies
from blackstart.plan.rules import Rules
from blackstart.plan.values import items, text
from blackstart.schema.errors import Finding

RULES: Rules[MeshConfig] = Rules()


@RULES.add(
    "BSM101",
    "error",
    "Where there is localityLbSetting, there is outlierDetection.",
    why="Without it there are no priorities: all regions share the traffic, and a dead one keeps its share.",
    fix="add outlierDetection beside the loadBalancer: consecutive5xxErrors, interval, baseEjectionTime, "
    "maxEjectionPercent: 100",
    link=links.FAILOVER,
)
def _outlier(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        path, setting = policy.locality
        if setting and policy.outlier is None:
            yield policy.resource.finding(path, "locality load balancing without outlierDetection never fails over")


@RULES.add(
    "BSM102",
    "error",
    "`distribute` and `failover` are not used together.",
    why="They exclude each other: Istio's validation refuses both, and where it is off `distribute` wins.",
    fix="keep failover if one region is enough, distribute if traffic is to be shared",
    link=links.LOCALITY_SETTING,
)
def _together(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        path, setting = policy.locality
        if setting.get("distribute") and setting.get("failover"):
            yield policy.resource.finding((*path, "failover"), "has no effect beside distribute")


@RULES.add(
    "BSM103",
    "error",
    "`failover` leads from one whole region to another.",
    why="Istio refuses zones and wildcards there, and a region that fails over to itself fails over to nothing.",
    fix="name two regions, as nodes are labelled with topology.kubernetes.io/region",
    link=links.LOCALITY_SETTING,
)
def _whole(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        path, setting = policy.locality
        for i, entry in items(setting.get("failover")):
            source, target = text(entry.get("from")), text(entry.get("to"))
            at = (*path, "failover", i)
            if source and source == target:
                yield policy.resource.finding((*at, "to"), f"{source} fails over to itself")
            for key, name in (("from", source), ("to", target)):
                if not name or "/" in name or "*" in name:
                    yield policy.resource.finding((*at, key), f'"{name}" is no region')
