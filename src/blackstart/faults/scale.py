"""Scales a Deployment, to zero unless told otherwise.

The patch that changes the replica count also puts the run's label and the
undo record on the object. The label is the claim: without it nothing of the
run is left on the object, and nothing is reverted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackstart.evidence.failpoints import failpoint
from blackstart.evidence.undo import Undo
from blackstart.faults import paths, roles
from blackstart.faults.base import Conflict, FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet.kube import Deployment, Kube, KubeError
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.fleet.objects import Ref
from blackstart.fleet.touch import touch
from blackstart.schema.base import Model

LABEL = "blackstart.dev/run"
ANNOTATION = "blackstart.dev/undo"

_CONFIRM_REVERTED = 90.0
_ATTEMPTS = 5


class _Data(Model):
    region: str
    service: str
    namespace: str
    deployment: str
    replicas: int


class _Before(Model):
    uid: str
    replicas: int


class Scale:
    """Deployment to N replicas."""

    kind = "scale"

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`service` and `region` by role, `replicas` (0)."""
        region, service = roles.region(fleet, args["region"]), roles.service(fleet, args["service"])
        replicas = args.get("replicas", 0)
        if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
            raise FaultError(f"scale: replicas must be a whole number from 0, not {replicas!r}")
        workload = roles.workload(fleet, service, region)
        data = _Data(region=region, service=service, replicas=replicas, **workload.model_dump())
        return [Target(f"{region}/{workload.namespace}/{workload.deployment}", data.model_dump(), (region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """Its UID and replica count."""
        data = _Data.model_validate(target.data)
        with open_kube(fleet, data.region) as kube:
            found = kube.deployment(data.namespace, data.deployment)
            _free(found, target.name)
            if found.replicas == data.replicas:
                raise FaultError(f"scale {target.name}: it has {found.replicas} replicas already; nothing to break")
            if owners := kube.autoscalers(data.namespace, data.deployment):
                raise FaultError(
                    f"scale {target.name}: the autoscaler {owners[0]} owns its replica count and would change it "
                    "behind the drill; use delete-pods or isolate, or take the autoscaler away first"
                )
        return _Before(uid=found.uid, replicas=found.replicas).model_dump()

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """The region's own entry of the service, which nothing may answer at zero replicas."""
        data = _Data.model_validate(target.data)
        return [paths.direct(fleet, data.service, data.region)] if data.replicas == 0 else []

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """One patch: label, undo record, replicas."""
        data, before = _Data.model_validate(undo.data), _Before.model_validate(undo.before)

        def change(found: Deployment) -> dict[str, Any] | None:
            if found.annotations.get(ANNOTATION) == undo.model_dump_json():
                return None
            _free(found, undo.target)
            if (found.uid, found.replicas) != (before.uid, before.replicas):
                raise FaultError(f"scale {undo.target}: someone changed it just now ({found.replicas} replicas)")
            return _patch(undo.run, undo.model_dump_json(), data.replicas)

        with open_kube(fleet, data.region) as kube:
            _change(kube, data, change, fence)

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """The controller has brought the number of pods to what was asked."""
        data = _Data.model_validate(undo.data)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                found = kube.deployment(data.namespace, data.deployment)
            if found.labels.get(LABEL) != undo.run or found.replicas != data.replicas:
                raise FaultError(f"scale {undo.target}: it no longer has {data.replicas} replicas by this run")
            if found.existing != data.replicas:
                raise NotYet(f"{found.existing} pods, not {data.replicas}")
            return f"{found.existing} pods"

        return wait_for(f"scale {undo.target}", within, look)

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """One patch: the old count, and label and record away; only while the fault's own value stands.

        Without the label nothing was changed yet, or it is back already; a
        change that is still on its way then comes too late.
        """
        data = _Data.model_validate(undo.data)
        with open_kube(fleet, data.region) as kube:
            try:
                found = kube.deployment(data.namespace, data.deployment)
                if LABEL not in found.labels:
                    touch(kube, Ref("apps/v1/deployments", data.namespace, data.deployment))
                _change(kube, data, lambda found: _way_back(found, undo))
            except KubeError as error:
                if error.status != 404:
                    raise
                raise Conflict(f"scale {undo.target}: someone deleted it; there is nothing to put back") from error

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """The replica count, and the run's label and record."""
        data = _Data.model_validate(undo.data)
        with open_kube(fleet, data.region) as kube:
            found = kube.deployment(data.namespace, data.deployment)
        patch = _way_back(found, undo)
        if patch is None:
            return []
        thing = f"{data.region}: deployment {data.namespace}/{data.deployment}"
        return [
            Change(thing, "spec.replicas", found.replicas, patch["spec"]["replicas"]),
            Change(thing, f"label {LABEL}", undo.run, None),
            Change(thing, f"annotation {ANNOTATION}", "the undo record", None),
        ]

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """Nothing of the run is on the object, and every replica is available."""
        data = _Data.model_validate(undo.data)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                found = kube.deployment(data.namespace, data.deployment)
            if found.labels.get(LABEL) == undo.run:
                raise NotYet(f"it still carries the label {LABEL}")
            if not found.settled:
                raise NotYet(f"not all of its {found.replicas} replicas are available")
            return f"{found.replicas} replicas available"

        return wait_for(f"scale {undo.target}", _CONFIRM_REVERTED, look)


def _free(found: Deployment, name: str) -> None:
    if run := found.labels.get(LABEL):
        raise FaultError(
            f"scale {name}: it still carries the label of run {run}; wait for that run to end, "
            f"or put it back with `blackstart recover --run {run}`"
        )


def _way_back(found: Deployment, undo: Undo) -> dict[str, Any] | None:
    """The patch that puts it back; None when the run has no claim on it. Raises Conflict."""
    data, before = _Data.model_validate(undo.data), _Before.model_validate(undo.before)
    if found.labels.get(LABEL) != undo.run:
        return None
    if found.replicas not in (data.replicas, before.replicas):
        raise Conflict(
            f"scale {undo.target}: has {found.replicas} replicas; it had {before.replicas}, the drill wrote "
            f"{data.replicas}, so someone else changed it and it is left alone; scale it as you want it and "
            f"accept that with `kubectl label deployment {data.deployment} -n {data.namespace} {LABEL}-`"
        )
    return _patch(None, None, before.replicas)


def _patch(label: str | None, annotation: str | None, replicas: int) -> dict[str, Any]:
    metadata = {"labels": {LABEL: label}, "annotations": {ANNOTATION: annotation}}
    return {"metadata": metadata, "spec": {"replicas": replicas}}


def _change(
    kube: Kube,
    data: _Data,
    change: Callable[[Deployment], dict[str, Any] | None],
    fence: Callable[[], None] = lambda: None,
) -> None:
    for attempt in range(_ATTEMPTS):
        found = kube.deployment(data.namespace, data.deployment)
        patch = change(found)
        if patch is None:
            return
        patch["metadata"]["resourceVersion"] = found.resource_version
        # Whoever takes the Lease touches the object next: the version read is of no use any more then.
        fence()
        failpoint("patch.before")
        try:
            kube.patch_deployment(data.namespace, data.deployment, patch)
        except KubeError as error:
            # Its status changes all the time: look again, and decide again.
            if error.status != 409 or attempt == _ATTEMPTS - 1:
                raise
        else:
            return


FAULT = Scale()
