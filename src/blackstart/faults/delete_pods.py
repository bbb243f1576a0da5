"""Deletes every pod of a Deployment at once, without grace. The Deployment makes new ones: that is the undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import roles
from blackstart.faults.base import FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.schema.base import Model

_CONFIRM_REVERTED = 90.0


class _Data(Model):
    region: str
    namespace: str
    deployment: str


class _Pod(Model):
    name: str
    uid: str
    address: str
    get: str


class _Before(Model):
    pods: list[_Pod]


class DeletePods:
    """All pods of a workload."""

    kind = "delete-pods"
    guarded = False

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`service` and `region` by role."""
        region, service = roles.region(fleet, args["region"]), roles.service(fleet, args["service"])
        workload = roles.workload(fleet, service, region)
        data = _Data(region=region, **workload.model_dump())
        return [Target(f"{region}/{workload.namespace}/{workload.deployment}", data.model_dump(), (region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """The pods of now, with the sockets that they answer on."""
        data = _Data.model_validate(target.data)
        with open_kube(fleet, data.region) as kube:
            found = kube.pods(data.namespace, kube.deployment(data.namespace, data.deployment).selector)
        if not found:
            raise FaultError(f"delete-pods {target.name}: it has no pods; nothing to break")
        deaf = [pod.name for pod in found if pod.port is None or not pod.ip]
        if deaf:
            raise FaultError(
                f"delete-pods {target.name}: nothing could prove that the fault bites: pod {deaf[0]} has no address "
                "or no readinessProbe by HTTP"
            )
        pods = [_Pod(name=p.name, uid=p.uid, address=f"{p.ip}:{p.port}", get=p.path) for p in found]
        return _Before(pods=pods).model_dump()

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """The pods' own sockets, from inside the region."""
        place = fleet.regions[_Data.model_validate(target.data).region].place
        pods = _Before.model_validate(before).pods
        return [ControlPath(place=place, address=pod.address, get=pod.get) for pod in pods]

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Delete exactly the captured pods."""
        data = _Data.model_validate(undo.data)
        with open_kube(fleet, data.region) as kube:
            for pod in _Before.model_validate(undo.before).pods:
                fence()
                kube.delete_pod(data.namespace, pod.name, pod.uid)

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """None of the captured pods is left."""
        data, gone = _Data.model_validate(undo.data), _uids(undo)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                pods = kube.pods(data.namespace, kube.deployment(data.namespace, data.deployment).selector)
            if left := [pod.name for pod in pods if pod.uid in gone]:
                raise NotYet(f"still there: {', '.join(left)}")
            return f"{len(gone)} pods deleted"

        return wait_for(f"delete-pods {undo.target}", within, look)

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Nothing to write: the Deployment makes new pods."""

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """None."""
        return []

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """As many pods as wanted are ready; the list of pods is asked, because the Deployment's count lags behind."""
        data, gone = _Data.model_validate(undo.data), _uids(undo)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                deployment = kube.deployment(data.namespace, data.deployment)
                ready = [pod for pod in kube.pods(data.namespace, deployment.selector) if pod.ready]
            if not deployment.settled or len(ready) < deployment.replicas:
                raise NotYet(f"{len(ready)} of {deployment.replicas} pods ready")
            new = sum(pod.uid not in gone for pod in ready)
            return f"{len(ready)} pods ready, {new} of them new"

        return wait_for(f"delete-pods {undo.target}", _CONFIRM_REVERTED, look)


def _uids(undo: Undo) -> set[str]:
    return {pod.uid for pod in _Before.model_validate(undo.before).pods}


FAULT = DeletePods()
