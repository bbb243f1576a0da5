"""Rules about the regions that localityLbSetting names: that they are there, and that none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.mesh import links
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.mesh.policy import Policy, policies
from blackstart.plan.resources import Resource
from blackstart.plan.rules import Rules
from blackstart.plan.values import items, mapping, text
from blackstart.schema.errors import Finding, KeyPath, unknown

RULES: Rules[MeshConfig] = Rules()


@RULES.add(
    "BSM111",
    "error",
    "The regions of `distribute` and `failover` are regions of nodes (with Nodes in the input, or --regions).",
    why="A name that no node has matches nothing, so the rule is not there for anybody.",
    fix="use the value of topology.kubernetes.io/region of the nodes",
    link=links.LOCALITY,
)
def _exist(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        for path, name in _named(policy):
            if mesh.regions and name not in mesh.regions:
                yield policy.resource.finding(path, unknown("region", name, mesh.regions))


@RULES.add(
    "BSM112",
    "warning",
    "All DestinationRules call the regions by the same names (where the regions are not known).",
    why="Names are compared letter by letter: us-east, us-east-1 and cluster1 are three regions.",
    fix="use the value of topology.kubernetes.io/region of the nodes everywhere",
    link=links.LOCALITY,
)
def _agree(mesh: MeshConfig) -> Iterator[Finding]:
    if mesh.regions:
        return
    earlier: list[tuple[Resource, set[str]]] = []
    for policy in policies(mesh):
        names = {name for _, name in _named(policy)}
        strangers = next((seen for seen in earlier if names and not names & seen[1]), None)
        if strangers:
            others = f"{', '.join(sorted(strangers[1]))} of {strangers[0].name} ({strangers[0].where})"
            text = f"none of {', '.join(sorted(names))} is among {others}"
            yield policy.resource.finding(policy.locality[0], text)
        if names:
            earlier.append((policy.resource, names))


@RULES.add(
    "BSM113",
    "error",
    "`distribute` lets the traffic of each region go to another one too.",
    why="What `to` does not list gets nothing, not even when all that it lists is dead.",
    fix="list the other region with a small weight, or use failover",
    link=links.DISTRIBUTE,
)
def _another(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        for path, _, targets in _distributed(policy):
            if len(targets) == 1 and "*" not in targets:
                text = f"all traffic goes to {next(iter(targets))}; nothing takes over when it is lost"
                yield policy.resource.finding((*path, "to"), text)


@RULES.add(
    "BSM114",
    "warning",
    "`distribute` has an entry for every region, and lists every region in it.",
    why="Clients in a region without an entry get no weights; a region that `to` does not list gets no traffic.",
    fix="add the region",
    link=links.DISTRIBUTE,
)
def _distribute_all(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        entries = list(_distributed(policy))
        regions = mesh.regions or sorted({r for _, source, to in entries for r in {source, *to}} - {"*"})
        forgotten = _missing(regions, {source for _, source, _ in entries})
        if entries and forgotten:
            text = f"no entry for clients in {', '.join(forgotten)}"
            yield policy.resource.finding((*policy.locality[0], "distribute"), text)
        for path, _, targets in entries:
            left_out = _missing(regions, targets)
            if left_out and len(targets) > 1:
                yield policy.resource.finding((*path, "to"), f"{', '.join(left_out)} gets nothing")


@RULES.add(
    "BSM115",
    "info",
    "`failover` has an entry for every region.",
    why="Clients in a region without an entry fail over to any other region.",
    fix="add the way back too",
    link=links.FAILOVER,
)
def _failover_all(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        path, setting = policy.locality
        entries = [entry for _, entry in items(setting.get("failover"))]
        sources = {_region(entry.get("from")) for entry in entries}
        regions = mesh.regions or sorted({_region(entry.get("to")) for entry in entries} | sources)
        forgotten = _missing(regions, sources)
        if entries and forgotten:
            text = f"does not say where clients in {', '.join(forgotten)} go"
            yield policy.resource.finding((*path, "failover"), text)


def _named(policy: Policy) -> Iterator[tuple[KeyPath, str]]:
    """Every region that a policy names, with its place."""
    path, setting = policy.locality
    for i, entry in items(setting.get("failover")):
        for key in ("from", "to"):
            if name := _region(entry.get(key)):
                yield (*path, "failover", i, key), name
    for at, source, _ in _distributed(policy):
        if source not in ("", "*"):
            yield (*at, "from"), source
    for i, entry in items(setting.get("distribute")):
        for target in mapping(entry.get("to")):
            if _region(target) not in ("", "*"):
                yield (*path, "distribute", i, "to", target), _region(target)


def _distributed(policy: Policy) -> Iterator[tuple[KeyPath, str, set[str]]]:
    """Each entry of `distribute`: its place, the region of the clients, the regions that get their traffic."""
    path, setting = policy.locality
    for i, entry in items(setting.get("distribute")):
        targets = {_region(target) for target in mapping(entry.get("to"))}
        yield (*path, "distribute", i), _region(entry.get("from")), targets


def _region(locality: object) -> str:
    """The region of `region/zone/subzone`."""
    return text(locality).partition("/")[0]


def _missing(regions: list[str], there: set[str]) -> list[str]:
    return [] if "*" in there else [region for region in regions if region not in there]
