"""Rules about outlierDetection: whether it can take a whole region out, and what undoes that."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.mesh import links
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.mesh.policy import Policy, policies
from blackstart.plan.mesh.spread import Spread, only_region, spread
from blackstart.plan.rules import Rules
from blackstart.plan.values import whole
from blackstart.schema.errors import Finding

RULES: Rules[MeshConfig] = Rules()

_DEFAULT_PERCENT = 10


@RULES.add(
    "BSM201",
    "error",
    "maxEjectionPercent allows to eject all hosts of a region.",
    why="It is a share of the hosts of all regions together; 10 % when unset, which is no host of 3 + 3. "
    "Envoy ejects one more only if 100 * (ejected + 1) / hosts <= maxEjectionPercent.",
    fix="set maxEjectionPercent: 100",
    link=links.EJECTION,
)
def _percent(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        if policy.outlier is None or not _across_regions(mesh, policy):
            continue
        found = whole(policy.outlier.get("maxEjectionPercent"))
        # Istio passes on only what is above 0.
        percent = found if found is not None and found > 0 else _DEFAULT_PERCENT
        hosts = spread(mesh, policy.host)
        if text := _shortage(hosts, percent):
            said = f"{percent} %" if percent == found else f"{percent} % (the default)"
            path = policy.part("outlierDetection", "maxEjectionPercent")[0]
            yield policy.resource.finding(path, f"{said} {text}")


def _across_regions(mesh: MeshConfig, policy: Policy) -> bool:
    """Whether the service is meant to be in several regions."""
    if only_region(mesh, policy.host) and not mesh.said.replicas:
        return False
    return bool(policy.locality[1]) or not spread(mesh, policy.host).assumed


def _shortage(hosts: Spread, percent: int) -> str:
    """How many hosts of the largest region stay in, for people; empty when all can be ejected."""
    lost = hosts.hosts[hosts.largest]
    if lost * 100 <= percent * hosts.total:
        return ""
    if hosts.assumed:
        return f"is less than the share of a region, {100 * lost / hosts.total:g} % ({hosts.assumed})"
    ejectable = percent * hosts.total // 100
    return f"of {hosts.total} hosts ejects {ejectable or 'none'}; the loss of {hosts.largest} takes {lost}"


@RULES.add(
    "BSM202",
    "error",
    "outlierDetection counts some kind of error.",
    why="consecutive5xxErrors: 0 switches the only detector off that is on by default.",
    fix="set consecutive5xxErrors or consecutiveGatewayErrors to 3 or so",
    link=links.OUTLIER,
)
def _detects(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        outlier = policy.outlier or {}
        path, count = policy.part("outlierDetection", "consecutive5xxErrors")
        local = outlier.get("splitExternalLocalOriginErrors") is True
        if count == 0 and not outlier.get("consecutiveGatewayErrors") and not local:
            yield policy.resource.finding(path, "nothing is ever ejected")


@RULES.add(
    "BSM203",
    "warning",
    "minHealthPercent is 0.",
    why="Below it, and while the survivors are not all healthy, Envoy panics: it sends to every host, dead ones too.",
    fix="leave it out; Istio's default is 0",
    link=links.PANIC,
)
def _panic(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        if policy.outlier is None:
            continue
        path, found = policy.part("outlierDetection", "minHealthPercent")
        if (percent := whole(found)) and percent > 0:
            hosts = spread(mesh, policy.host)
            left = 100 - 100 * hosts.hosts[hosts.largest] // hosts.total
            text = (
                f"below {percent} % healthy hosts dead ones get traffic again; the loss of a region leaves {left} %"
            )
            yield policy.resource.finding(path, text)
    for policy in policies(mesh):
        path, setting = policy.locality
        if "minHealthPercent" in setting:
            text = "localityLbSetting has no such key; it belongs to outlierDetection"
            yield policy.resource.finding((*path, "minHealthPercent"), text)
