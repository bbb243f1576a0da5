"""Rules about the times of a DestinationRule against the RTO."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.mesh import links
from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.mesh.policy import (
    CONNECT_TIMEOUT,
    EJECTION,
    ERRORS,
    INTERVAL,
    UNSAID_CONNECT,
    errors_needed,
    policies,
)
from blackstart.plan.rules import Rules
from blackstart.plan.values import seconds
from blackstart.schema.errors import Finding

RULES: Rules[MeshConfig] = Rules()


@RULES.add(
    "BSM204",
    "warning",
    "The connect timeouts that it takes to eject a silent host fit into the RTO.",
    why="A lost region answers nothing: each error costs a connect timeout (10 s unless the mesh says otherwise), "
    "and a host is ejected after consecutive5xxErrors of them (5 by default).",
    fix="set connectionPool.tcp.connectTimeout: 1s or less, or count fewer errors",
    link=links.TCP,
)
def _connect(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        if policy.outlier is None:
            continue
        path, value = policy.part(*CONNECT_TIMEOUT)
        found = seconds(value)
        timeout = UNSAID_CONNECT if found is None else found
        errors = errors_needed(policy.outlier) or ERRORS
        if timeout * errors > mesh.said.rto:
            each = f"{timeout:g}s" if found is not None else f"{timeout:g}s (not set)"
            text = f"{each} x {errors} errors can take {timeout * errors:g}s; the RTO is {mesh.said.rto:g}s"
            yield policy.resource.finding(path, text)


@RULES.add(
    "BSM205",
    "warning",
    "A host that has recovered is back within the RTO.",
    why="An ejected host returns at the first sweep (every `interval`) after baseEjectionTime, times the number of "
    "its ejections; until then the recovered region stays empty. Ejecting itself waits for neither.",
    fix="set interval: 1s and a baseEjectionTime well below the RTO",
    link=links.EJECTION,
)
def _return(mesh: MeshConfig) -> Iterator[Finding]:
    for policy in policies(mesh):
        if policy.outlier is None:
            continue
        interval = seconds(policy.outlier.get("interval")) or INTERVAL
        ejection = seconds(policy.outlier.get("baseEjectionTime")) or EJECTION
        if interval + ejection > mesh.said.rto:
            text = (
                f"baseEjectionTime {ejection:g}s and interval {interval:g}s keep a host out for up to "
                f"{interval + ejection:g}s; the RTO is {mesh.said.rto:g}s"
            )
            yield policy.resource.finding(policy.part("outlierDetection")[0], text)
