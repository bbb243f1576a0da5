"""Rules about ServiceEntries: what is outside the mesh's own services, and where else it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from blackstart.plan.mesh import links
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.rules import Rules
from blackstart.plan.values import items, text, texts
from blackstart.schema.errors import Finding

RULES: Rules[MeshConfig] = Rules()

_OF_ONE_CLUSTER = re.compile(r".+\.svc\.(?!cluster\.local$|clusterset\.local$)[\w.-]*local")


@RULES.add(
    "BSM401",
    "warning",
    "A ServiceEntry with endpoints has at least two.",
    why="With one there is nothing to fail over to.",
    fix="add an endpoint in another region",
    link=links.SERVICE_ENTRY,
)
def _one(mesh: MeshConfig) -> Iterator[Finding]:
    for resource in mesh.of("ServiceEntry"):
        endpoints = resource.spec.get("endpoints")
        if isinstance(endpoints, list) and len(endpoints) == 1:
            yield resource.finding(("spec", "endpoints"), "one endpoint; nothing takes over when it is lost")


@RULES.add(
    "BSM402",
    "warning",
    "Every endpoint of a ServiceEntry says its locality.",
    why="An endpoint without one is in no region: it is never preferred, and failover cannot tell it from others.",
    fix="add locality: REGION/ZONE",
    link=links.WORKLOAD,
)
def _locality(mesh: MeshConfig) -> Iterator[Finding]:
    for resource in mesh.of("ServiceEntry"):
        for i, endpoint in items(resource.spec.get("endpoints")):
            if not text(endpoint.get("locality")):
                address = text(endpoint.get("address")) or "an endpoint"
                yield resource.finding(("spec", "endpoints", i), f"{address} has no locality")


@RULES.add(
    "BSM403",
    "error",
    "Hosts and endpoints of a ServiceEntry have names that can be resolved everywhere.",
    why="The DNS of a cluster knows its own services only, below svc.cluster.local (and below svc.clusterset.local "
    "with multi-cluster services): nobody answers for another cluster's names.",
    fix="use the address of that cluster's east-west gateway, or a name in a DNS that both see",
    link=links.SERVICE_ENTRY,
)
def _resolvable(mesh: MeshConfig) -> Iterator[Finding]:
    for resource in mesh.of("ServiceEntry"):
        spec = resource.spec
        named = [(("spec", "hosts", i), host) for i, host in texts(spec.get("hosts"))]
        ends = [
            (("spec", "endpoints", i, "address"), text(e.get("address"))) for i, e in items(spec.get("endpoints"))
        ]
        for path, name in [*named, *ends]:
            if _OF_ONE_CLUSTER.fullmatch(name):
                yield resource.finding(path, f"{name} is a name inside one cluster; no other one resolves it")
