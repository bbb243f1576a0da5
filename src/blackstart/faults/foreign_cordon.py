"""Puts back what another extension cordoned, drained or uncordoned. Evicted pods come back by their owners."""

from __future__ import annotations

from typing import Any

from blackstart.faults.base import FaultError, Target
from blackstart.faults.clusters import open_kube
from blackstart.faults.fields import FieldData, FieldFault, Value
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object

NODES = "v1/nodes"
_AT_RANDOM = ("count", "pod_label_selector", "pod_namespace")


class ForeignCordon(FieldFault):
    """`spec.unschedulable` of some nodes."""

    kind = "foreign-cordon"
    field = "unschedulable"

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`region`, `run`, `value`, and the action's own `name`, `label_selector`; without both, every node."""
        if picked := [key for key in _AT_RANDOM if args.get(key) is not None]:
            raise FaultError(
                f"{self.kind}: `{picked[0]}` leaves open which nodes are taken, so nothing can be captured; "
                "use `name` or `label_selector`"
            )
        with open_kube(fleet, args["region"]) as kube:
            nodes = kube.select(NODES, "", args.get("label_selector") or "")
        wanted = args.get("name")
        names = sorted(n["metadata"]["name"] for n in nodes if wanted in (None, "", n["metadata"]["name"]))
        if not names:
            raise FaultError(f"{self.kind}: no node matches in {args['region']}; correct `name` or `label_selector`")
        data = FieldData(region=args["region"], run=args["run"], resource=NODES, names=names, value=args["value"])
        return [Target(f"{data.region}/{','.join(names)}", data.model_dump(), (data.region,))]

    def value(self, found: Object) -> Value:
        """Schedulable nodes have no value, or false."""
        return bool(found["spec"].get("unschedulable"))


FAULT = ForeignCordon()
