"""What the faults of a plan take away, as far as clients can tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from blackstart.faults import foreign
from blackstart.plan.resolve import Plan
from blackstart.plan.wards import fault_in
from blackstart.schema.errors import BlackstartError


class How(StrEnum):
    """How something goes, which decides who notices."""

    TOLD = "told"
    """Pods that end, and the mesh is told."""
    CUT_SHORT = "cut short"
    """The same without grace: what is under way breaks."""
    SILENT = "silent"
    """Pods that no longer answer a gateway, which nobody is told."""
    REGION = "region"
    """A region that answers nothing."""
    GATEWAY = "gateway"
    """A region whose gateway refuses."""
    UNKNOWN = "unknown"
    """Something that no formula is about."""


_HOW = {
    "scale": How.TOLD,
    "foreign-scale": How.TOLD,
    "delete-pods": How.CUT_SHORT,
    "blackhole-endpoints": How.SILENT,
    "kill": How.REGION,
    "isolate": How.REGION,
    "gateway-kill": How.GATEWAY,
}


@dataclass(frozen=True)
class Loss:
    """One thing lost. `deployments`: (namespace, name) of what its pods are of; empty for all. `kind` of fault."""

    kind: str
    how: How
    region: str = ""
    deployments: frozenset[tuple[str, str]] = frozenset()


def losses(plan: Plan) -> list[Loss]:
    """Everything that the plan's method takes away."""
    return [
        loss
        for activity in plan.experiment.get("method") or []
        if activity.get("type") == "action"
        for loss in _of(activity, plan)
    ]


def _of(activity: dict[str, Any], plan: Plan) -> Iterator[Loss]:
    name = str(activity.get("name") or "an action")
    try:
        found = fault_in(activity, plan.experiment, plan.fleet)
        if found is None:
            # Actions that the drill vouches for may do anything; others put nothing out of order.
            if foreign.is_foreign(activity):
                yield Loss(name, How.UNKNOWN)
            return
        fault, arguments = found
        if fault.kind not in _HOW:
            yield Loss(fault.kind, How.UNKNOWN)
            return
        for target in fault.targets(plan.fleet, {**arguments, "lease": plan.drill.lease}):
            yield _loss(fault.kind, target.regions[0], target.data)
    except BlackstartError:
        yield Loss(name, How.UNKNOWN)


def _loss(kind: str, region: str, data: dict[str, Any]) -> Loss:
    if data.get("replicas", data.get("value")):
        return Loss(f"{kind} to more than 0", How.UNKNOWN)
    names = [data["deployment"]] if "deployment" in data else data.get("names", [])
    return Loss(kind, _HOW[kind], region, frozenset((data["namespace"], name) for name in names))
