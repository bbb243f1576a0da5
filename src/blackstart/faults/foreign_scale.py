"""Puts back what another extension scaled: a Deployment or a StatefulSet."""

from __future__ import annotations

from typing import Any

from blackstart.faults import paths
from blackstart.faults.base import FaultError, Target
from blackstart.faults.fields import FieldData, FieldFault, Value
from blackstart.faults.wait import NotYet
from blackstart.faults.workloads import DEPLOYMENTS, settled, wanted
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.fleet.objects import Object


class ForeignScale(FieldFault):
    """`spec.replicas` of one workload."""

    kind = "foreign-scale"
    field = "replicas"

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`region`, `run`, `resource`, and the action's own `name`, `ns` (default), `replicas`."""
        replicas = args["replicas"]
        if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
            raise FaultError(f"{self.kind}: replicas must be a whole number from 0, not {replicas!r}")
        data = FieldData(
            region=args["region"],
            run=args["run"],
            resource=args["resource"],
            namespace=args.get("ns", "default"),
            names=[args["name"]],
            value=replicas,
        )
        return [Target(f"{data.region}/{data.namespace}/{args['name']}", data.model_dump(), (data.region,))]

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """The region's own entry of the service whose workload goes to zero, where fleet.yaml knows it."""
        data = FieldData.model_validate(target.data)
        if data.value != 0 or data.resource != DEPLOYMENTS:
            return []
        here = [
            (name, service.workloads.get(data.region))
            for name, service in fleet.services.items()
            if data.region in service.direct
        ]
        known = [name for name, w in here if w and (w.namespace, w.deployment) == (data.namespace, data.names[0])]
        return [paths.direct(fleet, name, data.region) for name in known]

    def value(self, found: Object) -> Value:
        """Without a count it is 1."""
        return int(found["spec"].get("replicas", 1))

    def refuse(self, kube: Kube, data: FieldData) -> None:
        """An autoscaler would change the count behind the drill."""
        owners = kube.autoscalers(data.namespace, data.names[0]) if data.resource == DEPLOYMENTS else []
        if owners:
            raise FaultError(
                f"{self.kind} {data.names[0]}: the autoscaler {owners[0]} owns its replica count and would change it "
                "behind the drill; take the autoscaler away first, or break something else"
            )

    def in_effect(self, found: Object, data: FieldData) -> None:
        """As many pods as asked for."""
        existing = int((found.get("status") or {}).get("replicas") or 0)
        if existing != data.value:
            raise NotYet(f"{existing} pods, not {data.value}")

    def settled(self, found: Object, data: FieldData) -> None:
        """Every replica is available."""
        if not settled(data.resource, found):
            raise NotYet(f"not all of its {wanted(data.resource, found)} replicas are available")


FAULT = ForeignScale()
