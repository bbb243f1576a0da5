"""Rules about retries: without them clients see every error until the ejection, with them nobody sees any."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.mesh import links
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.mesh.policy import relied_upon
from blackstart.plan.mesh.routes import Route, routes
from blackstart.plan.rules import Rules
from blackstart.plan.values import mapping, whole
from blackstart.schema.errors import Finding

RULES: Rules[MeshConfig] = Rules()


@RULES.add(
    "BSM321",
    "warning",
    "A route to a service that fails over does not switch retries off.",
    why="Until the hosts of the lost region are ejected each request to one of them is an error for its client.",
    fix="set attempts: 2 or more, perTryTimeout and retryRemoteLocalities: true",
    link=links.RETRY,
)
def _off(mesh: MeshConfig) -> Iterator[Finding]:
    for route in _failing_over(mesh):
        path, attempts = route.part("retries", "attempts")
        if _switched_off(route):
            said = "attempts: 0" if attempts == 0 else "retries without attempts"
            yield route.resource.finding(path, f"{said} switches retries off")


@RULES.add(
    "BSM322",
    "warning",
    "A route to a service that fails over retries in other localities.",
    why="Without retryRemoteLocalities every retry goes to the region of the first try, the lost one.",
    fix="set retryRemoteLocalities: true",
    link=links.RETRY,
)
def _remote(mesh: MeshConfig) -> Iterator[Finding]:
    for route in _failing_over(mesh):
        path, remote = route.part("retries", "retryRemoteLocalities")
        if not _switched_off(route) and remote is not True:
            yield route.resource.finding(path, "retries stay in the region of the first try")


@RULES.add(
    "BSM323",
    "info",
    "A route's errors are not hidden by retries.",
    why="Retries are right, but a drill that counts errors alone sees none while every request is slow: bound the "
    "latency too, and the hosts that are ejected.",
    fix="give the drill's client a `slow` bound",
    link=links.RETRY,
)
def _hidden(mesh: MeshConfig) -> Iterator[Finding]:
    for route in routes(mesh):
        path, attempts = route.part("retries", "attempts")
        if (count := whole(attempts)) and count > 0:
            text = f"{count} retries hide the errors of a lost region; only latency shows them"
            yield route.resource.finding(path, text)


def _failing_over(mesh: MeshConfig) -> Iterator[Route]:
    """The routes that lead to a host whose DestinationRule makes it fail over."""
    for route in routes(mesh):
        if any(relied_upon(mesh, route.resource.cluster, target.host) for target in route.targets):
            yield route


def _switched_off(route: Route) -> bool:
    """Whether there are no retries: none said means Istio's own two, said without attempts means none."""
    retries = route.part("retries")[1]
    return isinstance(retries, dict) and not (whole(mapping(retries).get("attempts")) or 0) > 0
