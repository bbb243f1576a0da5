"""Rules about how long a route lets its clients wait, and about faults that it injects itself."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.mesh import links
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.mesh.routes import routes
from blackstart.plan.rules import Rules
from blackstart.plan.values import items, mapping, seconds
from blackstart.schema.errors import Finding

RULES: Rules[MeshConfig] = Rules()


@RULES.add(
    "BSM331",
    "warning",
    "A route has a timeout, shorter than the RTO.",
    why="A request to a lost region hangs until its timeout; Istio sets none by itself.",
    fix="set `timeout` to a few seconds",
    link=links.ROUTE,
)
def _timeout(mesh: MeshConfig) -> Iterator[Finding]:
    for route in routes(mesh):
        path, value = route.part("timeout")
        found = seconds(value)
        if not found:
            yield route.resource.finding(path, "without a timeout a request to a lost region hangs")
        elif found > mesh.said.rto:
            yield route.resource.finding(path, f"{found:g}s is longer than the RTO of {mesh.said.rto:g}s")


@RULES.add(
    "BSM332",
    "warning",
    "perTryTimeout is shorter than the timeout of the route.",
    why="Otherwise the first try uses up all the time and there is never a second one.",
    fix="make perTryTimeout at most timeout / (attempts + 1)",
    link=links.RETRY,
)
def _per_try(mesh: MeshConfig) -> Iterator[Finding]:
    for route in routes(mesh):
        path, value = route.part("retries", "perTryTimeout")
        one, all_tries = seconds(value), seconds(route.part("timeout")[1])
        if one and all_tries and one >= all_tries:
            yield route.resource.finding(path, f"{one:g}s leaves no time for a retry in {all_tries:g}s")


@RULES.add(
    "BSM333",
    "warning",
    "No VirtualService injects a fault.",
    why="An abort or delay happens in the client's proxy, before any host is asked: no host is ejected and nothing "
    "is retried, so it proves nothing about failover.",
    fix="take it out, and break the region with a drill",
    link=links.FAULT,
)
def _fault(mesh: MeshConfig) -> Iterator[Finding]:
    for resource in mesh.of("VirtualService"):
        for i, data in items(resource.spec.get("http")):
            for kind in ("abort", "delay"):
                if kind in mapping(data.get("fault")):
                    text = f"the {kind} is made by the client's own proxy and tests no failover"
                    yield resource.finding(("spec", "http", i, "fault", kind), text)
