"""The settings of a mesh gateway, out of DestinationRule, VirtualService and Deployments. Pure.

Beside each the assumptions, in words, where the objects leave something open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blackstart.fleet.model import Workload
from blackstart.plan.forecast.settings import MERGE, Gateway, Outliers, Readiness, Retries
from blackstart.plan.mesh.hosts import covers, same
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.mesh.policy import CONNECT_TIMEOUT, EJECTION, INTERVAL, UNSAID_CONNECT, Policy, errors_needed
from blackstart.plan.mesh.policy import policies as all_policies
from blackstart.plan.mesh.routes import Route, routes
from blackstart.plan.resources import Resource
from blackstart.plan.values import items, mapping, seconds, text, whole

_REMOTE_AFTER = 2
"""Tries that Istio lets stay in the region of the first with retryRemoteLocalities (previous_priorities)."""

_ENDS_OF_TRIES = {"5xx", "gateway-error", "reset"}
"""Conditions of retryOn that a try that timed out meets, in Envoy."""

_DEFAULT_ATTEMPTS = 2
_DEFAULT_PERCENT = 10


def gateway(mesh: MeshConfig, region: str, workloads: Mapping[str, Workload]) -> tuple[Gateway, list[str]]:
    """What the gateway of a region goes by for the service of these workloads (by region), and what was assumed."""
    workload = workloads.get(region) or next(iter(workloads.values()))
    host = f"{workload.deployment}.{workload.namespace}.svc.cluster.local"
    said = [f"the mesh calls the service {host}", f"Envoy's update_merge_window is {MERGE:g} s, its default"]
    policy, route = _policy(mesh, region, host), _route(mesh, region, host)
    found = Gateway(
        hosts={name: ready for name, w in workloads.items() if (ready := pods(mesh, name, w)) is not None},
        connect=_connect(policy, said),
        timeout=(seconds(route.part("timeout")[1]) or None) if route else None,
        retries=_retries(route, said),
        outliers=_outliers(policy, said),
        prioritised=bool(policy and policy.prioritised),
    )
    return found, said


def pods(mesh: MeshConfig, region: str, workload: Workload) -> int | None:
    """Ready pods of a workload; None when it is not there."""
    found = _deployment(mesh, region, workload)
    return (whole(mapping(found.manifest.data.get("status")).get("readyReplicas")) or 0) if found else None


def readiness(mesh: MeshConfig, region: str, workload: Workload) -> Readiness | None:
    """The readinessProbe of a workload's pods; None without one."""
    found = _deployment(mesh, region, workload)
    spec = mapping(mapping(found.spec.get("template")).get("spec")) if found else {}
    for _, container in items(spec.get("containers")):
        if probe := mapping(container.get("readinessProbe")):
            period, timeout, failures = (
                whole(probe.get(key)) or default
                for key, default in (("periodSeconds", 10), ("timeoutSeconds", 1), ("failureThreshold", 3))
            )
            return Readiness(period, timeout, failures)
    return None


def _deployment(mesh: MeshConfig, region: str, workload: Workload) -> Resource | None:
    wanted = (region, workload.namespace, workload.deployment)
    return next((d for d in mesh.of("Deployment") if (d.cluster, d.namespace, d.name) == wanted), None)


def _policy(mesh: MeshConfig, region: str, host: str) -> Policy | None:
    """The policy for a whole host; those of subsets and ports are for some of its traffic."""
    mine = (p for p in all_policies(mesh) if p.resource.cluster == region and p.path == ("spec", "trafficPolicy"))
    return next((policy for policy in mine if covers(policy.host, host)), None)


def _route(mesh: MeshConfig, region: str, host: str) -> Route | None:
    """The first route for clients without special headers."""
    mine = (r for r in routes(mesh) if r.resource.cluster == region and not r.matches)
    return next((route for route in mine if any(same(target.host, host) for target in route.targets)), None)


def _connect(policy: Policy | None, said: list[str]) -> float:
    found = seconds(policy.part(*CONNECT_TIMEOUT)[1]) if policy else None
    if found is None:
        said.append(f"no connectTimeout: {UNSAID_CONNECT:g} s, Istio's default; the mesh may say otherwise")
        return UNSAID_CONNECT
    return found


def _retries(route: Route | None, said: list[str]) -> Retries:
    data = route.part("retries")[1] if route else None
    if not isinstance(data, dict):
        said.append(f"no retries in a VirtualService: Istio's own {_DEFAULT_ATTEMPTS}, in the same region")
        return Retries(_DEFAULT_ATTEMPTS, timeouts=False)
    return Retries(
        count=whole(data.get("attempts")) or 0,
        per_try=seconds(data.get("perTryTimeout")) or None,
        leaves=_REMOTE_AFTER if data.get("retryRemoteLocalities") is True else None,
        timeouts=bool(_ENDS_OF_TRIES & {part.strip() for part in text(data.get("retryOn")).split(",")}),
    )


def _outliers(policy: Policy | None, said: list[str]) -> Outliers | None:
    if policy is None or (data := policy.outlier) is None:
        said.append("no outlierDetection: silent hosts stay in, and no region is preferred")
        return None
    return Outliers(
        errors=errors_needed(data),
        interval=seconds(data.get("interval")) or INTERVAL,
        base=seconds(data.get("baseEjectionTime")) or EJECTION,
        percent=_percent(data),
    )


def _percent(data: dict[str, Any]) -> int:
    """Istio passes on only what is above 0."""
    return whole(data.get("maxEjectionPercent")) or _DEFAULT_PERCENT
