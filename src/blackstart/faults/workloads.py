"""Whether workloads of any kind are complete: as many pods as wanted, all of them available."""

from __future__ import annotations

from blackstart.fleet.objects import Object

DEPLOYMENTS, STATEFULSETS, DAEMONSETS = "apps/v1/deployments", "apps/v1/statefulsets", "apps/v1/daemonsets"
WORKLOADS = (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)

_COUNTS = {
    DEPLOYMENTS: ("replicas", "updatedReplicas", "availableReplicas"),
    STATEFULSETS: ("replicas", "readyReplicas"),
    DAEMONSETS: ("currentNumberScheduled", "numberAvailable"),
}


def settled(resource: str, found: Object) -> bool:
    """Whether the controller has seen the current spec, and every pod that it asks for is there and available."""
    meta, status = found["metadata"], found.get("status") or {}
    seen = int(status.get("observedGeneration") or 0) >= int(meta.get("generation") or 0)
    return seen and all(int(status.get(key) or 0) == wanted(resource, found) for key in _COUNTS[resource])


def wanted(resource: str, found: Object) -> int:
    """How many pods it asks for."""
    if resource == DAEMONSETS:
        return int((found.get("status") or {}).get("desiredNumberScheduled") or 0)
    return int(found["spec"].get("replicas", 1))
