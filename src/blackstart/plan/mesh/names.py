"""Rules about what refers to what: hosts, gateways, and two rules for one host."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.mesh import links
from blackstart.plan.mesh.hosts import covers, full, in_namespace, known, same
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.mesh.routes import all_targets
from blackstart.plan.resources import Resource
from blackstart.plan.rules import Rules
from blackstart.plan.values import text, texts
from blackstart.schema.errors import Finding, KeyPath

RULES: Rules[MeshConfig] = Rules()


@RULES.add(
    "BSM501",
    "error",
    "One DestinationRule of a namespace has the traffic policy of a host.",
    why="Istio merges the subsets of several rules but takes one traffic policy, the oldest rule's; the other's "
    "outlierDetection or failover is not there.",
    fix="merge them into one",
    link=links.MERGING,
)
def _two(mesh: MeshConfig) -> Iterator[Finding]:
    for cluster in mesh.clusters:
        earlier: list[Resource] = []
        for rule in cluster.of("DestinationRule"):
            if not rule.spec.get("trafficPolicy") or rule.spec.get("workloadSelector"):
                continue
            twin = next((other for other in earlier if _same_host(rule, other)), None)
            if twin:
                yield rule.finding(("spec", "host"), f"{twin.name} ({twin.where}) is for the same host")
            earlier.append(rule)


def _same_host(one: Resource, other: Resource) -> bool:
    hosts = (full(text(rule.spec.get("host")), rule) for rule in (one, other))
    return in_namespace(one, other.namespace or one.namespace) and same(*hosts)


@RULES.add(
    "BSM502",
    "error",
    "Hosts are those of Services and ServiceEntries (with Services in the input).",
    why="A DestinationRule or route for a host that nobody has does nothing.",
    fix="correct the name; a name without a dot means the namespace of its own object",
    link=links.DESTINATION,
)
def _hosts(mesh: MeshConfig) -> Iterator[Finding]:
    if not any(mesh.of("Service")):
        return
    there = list(known(mesh))
    for resource in mesh.of("DestinationRule", "VirtualService"):
        for path, host in _named(resource):
            if not any(covers(host, other) for other in there):
                yield resource.finding(path, f"no Service or ServiceEntry has the host {host.replace('?', '*')}")


def _named(resource: Resource) -> Iterator[tuple[KeyPath, str]]:
    """The hosts that an object is for or leads to; those of a gateway's clients are not the mesh's to know."""
    spec = resource.spec
    if resource.kind == "DestinationRule":
        yield ("spec", "host"), full(text(spec.get("host")), resource)
        return
    gateways = [name for _, name in texts(spec.get("gateways"))]
    if gateways in ([], ["mesh"]):
        yield from ((("spec", "hosts", i), full(host, resource)) for i, host in texts(spec.get("hosts")))
    for target in all_targets(resource):
        yield (*target.path, "destination", "host"), target.host


@RULES.add(
    "BSM503",
    "error",
    "Gateways that a VirtualService names are there, in the same cluster (with Gateways in the input).",
    why="A route on a gateway that does not exist is reached by nobody.",
    fix="correct the name: NAMESPACE/NAME, or NAME in the same namespace",
    link=links.VIRTUAL_SERVICE,
)
def _gateways(mesh: MeshConfig) -> Iterator[Finding]:
    if not any(mesh.of("Gateway")):
        return
    for cluster in mesh.clusters:
        for resource in cluster.of("VirtualService"):
            for i, name in texts(resource.spec.get("gateways")):
                if name != "mesh" and not any(_is_called(g, name, resource) for g in cluster.of("Gateway")):
                    yield resource.finding(("spec", "gateways", i), f"no Gateway {name} in {cluster.name}")


def _is_called(gateway: Resource, name: str, by: Resource) -> bool:
    namespace, _, short = name.rpartition("/")
    namespace = by.namespace if namespace in ("", ".") else namespace
    return gateway.name == short and (not namespace or in_namespace(gateway, namespace))
