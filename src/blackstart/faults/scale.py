"""Scales a Deployment, to zero unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import marks, paths, roles
from blackstart.faults.base import Conflict, FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.marks import LABEL
from blackstart.faults.wait import NotYet, wait_for
from blackstart.faults.workloads import DEPLOYMENTS, wanted
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.fleet.objects import Object, Ref
from blackstart.schema.base import Model

_CONFIRM_REVERTED = 90.0


class _Data(Model):
    region: str
    service: str
    namespace: str
    deployment: str
    replicas: int

    @property
    def ref(self) -> Ref:
        """The object."""
        return Ref(DEPLOYMENTS, self.namespace, self.deployment)


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
            found = kube.get(data.ref)
            if run := marks.run_of(found):
                raise FaultError(
                    f"scale {target.name}: it still carries the label of run {run}; wait for that run to end, "
                    f"or put it back with `blackstart recover --run {run}`"
                )
            if (replicas := wanted(DEPLOYMENTS, found)) == data.replicas:
                raise FaultError(f"scale {target.name}: it has {replicas} replicas already; nothing to break")
            if owners := kube.autoscalers(data.namespace, data.deployment):
                raise FaultError(
                    f"scale {target.name}: the autoscaler {owners[0]} owns its replica count and would change it "
                    "behind the drill; use delete-pods or isolate, or take the autoscaler away first"
                )
        return _Before(uid=found["metadata"]["uid"], replicas=replicas).model_dump()

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """The region's own entry of the service, which nothing may answer at zero replicas."""
        data = _Data.model_validate(target.data)
        return [paths.direct(fleet, data.service, data.region)] if data.replicas == 0 else []

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """One patch: label, undo record, replicas."""
        data, before = _Data.model_validate(undo.data), _Before.model_validate(undo.before)

        def claim(found: Object) -> Object | None:
            if marks.record_of(found) == undo:
                return None
            marks.free(found, data.ref, undo.run)
            replicas = wanted(DEPLOYMENTS, found)
            if (found["metadata"]["uid"], replicas) != (before.uid, before.replicas):
                raise FaultError(f"scale {undo.target}: someone changed it just now ({replicas} replicas)")
            return {"metadata": marks.marked(undo), "spec": {"replicas": data.replicas}}

        with open_kube(fleet, data.region) as kube:
            marks.change(kube, data.ref, claim, fence)

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
        """One patch: the old count, and label and record away; only while the fault's own value stands."""
        data = _Data.model_validate(undo.data)
        with open_kube(fleet, data.region) as kube:
            marks.give_back(kube, data.ref, undo, lambda found: _way_back(found, undo))

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """The replica count, and the run's label and record."""
        data = _Data.model_validate(undo.data)
        with open_kube(fleet, data.region) as kube:
            found = kube.get(data.ref)
        patch = _way_back(found, undo)
        if patch is None:
            return []
        thing = f"{data.region}: {data.ref}"
        count = Change(thing, "spec.replicas", wanted(DEPLOYMENTS, found), patch["spec"]["replicas"])
        return [count, *marks.removed(thing, undo)]

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


def _way_back(found: Object, undo: Undo) -> Object | None:
    """The patch that puts it back; None when the run has no claim on it. Raises Conflict."""
    data, before = _Data.model_validate(undo.data), _Before.model_validate(undo.before)
    if marks.run_of(found) != undo.run:
        return None
    if (replicas := wanted(DEPLOYMENTS, found)) not in (data.replicas, before.replicas):
        raise Conflict(
            f"scale {undo.target}: has {replicas} replicas; it had {before.replicas}, the drill wrote "
            f"{data.replicas}, so someone else changed it and it is left alone; scale it as you want it and "
            f"accept that with `kubectl label deployment {data.deployment} -n {data.namespace} {LABEL}-`"
        )
    return {"metadata": marks.unmarked(), "spec": {"replicas": before.replicas}}


FAULT = Scale()
