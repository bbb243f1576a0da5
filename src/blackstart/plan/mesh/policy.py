"""The traffic policies of a DestinationRule, as proxies end up with them.

A subset inherits from the policy on top what it does not say itself; the
policy of a port inherits nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from blackstart.plan.mesh.hosts import covers, full
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.resources import Resource
from blackstart.plan.values import items, mapping, text, whole
from blackstart.schema.errors import KeyPath

CONNECT_TIMEOUT = ("connectionPool", "tcp", "connectTimeout")

ERRORS, INTERVAL, EJECTION = 5, 10.0, 30.0
"""consecutive5xxErrors, interval and baseEjectionTime where an outlierDetection says nothing."""
UNSAID_CONNECT = 10.0
"""Istio's own connect timeout, unless the mesh says otherwise."""


def errors_needed(outlier: dict[str, Any]) -> int | None:
    """How many errors in a row eject a host: silence counts as a 5xx and as a gateway error. None: nothing does."""
    said = {"consecutive5xxErrors": ERRORS, **outlier}
    counts = [whole(said.get(key)) for key in ("consecutive5xxErrors", "consecutiveGatewayErrors")]
    return min((count for count in counts if count), default=None)


@dataclass(frozen=True)
class Policy:
    """One traffic policy; `inherited` is the one on top, for a subset."""

    resource: Resource
    path: KeyPath
    data: dict[str, Any]
    inherited: Policy | None = None

    @cached_property
    def host(self) -> str:
        """The full host that it is for."""
        return full(text(self.resource.spec.get("host")), self.resource)

    def part(self, *keys: str) -> tuple[KeyPath, Any]:
        """Where a value stands and what it is; None where it is nowhere, with the place to add it."""
        value: Any = self.data
        for key in keys:
            value = mapping(value).get(key)
        if self.data.get(keys[0]) is None and self.inherited and keys[0] in self.inherited.data:
            return self.inherited.part(*keys)
        return (*self.path, *keys), value

    @property
    def outlier(self) -> dict[str, Any] | None:
        """The outlierDetection, empty where it has only defaults; None without one."""
        found = self.part("outlierDetection")[1]
        return found if isinstance(found, dict) else None

    @property
    def locality(self) -> tuple[KeyPath, dict[str, Any]]:
        """The localityLbSetting and where it stands; empty where there is none, or it is switched off."""
        path, found = self.part("loadBalancer", "localityLbSetting")
        setting = mapping(found)
        return path, {} if setting.get("enabled") is False else setting

    @property
    def prioritised(self) -> bool:
        """Whether proxies prefer their own region and fail over from it: outlierDetection and no distribute."""
        switched_off = mapping(self.part("loadBalancer", "localityLbSetting")[1]).get("enabled") is False
        return self.outlier is not None and not switched_off and not self.locality[1].get("distribute")


def policies(mesh: MeshConfig) -> Iterator[Policy]:
    """Every traffic policy of every DestinationRule."""
    for resource in mesh.of("DestinationRule"):
        yield from of_rule(resource)


def of_rule(resource: Resource) -> Iterator[Policy]:
    """The traffic policies of one DestinationRule."""
    path: KeyPath = ("spec", "trafficPolicy")
    top = Policy(resource, path, mapping(resource.spec.get("trafficPolicy")))
    yield from _with_ports(top)
    for i, subset in items(resource.spec.get("subsets")):
        if isinstance(subset.get("trafficPolicy"), dict):
            path = ("spec", "subsets", i, "trafficPolicy")
            yield from _with_ports(Policy(resource, path, subset["trafficPolicy"], top))


def _with_ports(policy: Policy) -> Iterator[Policy]:
    yield policy
    for i, port in items(policy.data.get("portLevelSettings")):
        yield Policy(policy.resource, (*policy.path, "portLevelSettings", i), port)


def relied_upon(mesh: MeshConfig, cluster: str, host: str) -> Policy | None:
    """The policy by which traffic to a host fails over to another region, in one cluster."""
    mine = (p for p in policies(mesh) if p.resource.cluster == cluster and covers(p.host, host))
    return next((policy for policy in mine if policy.prioritised), None)
