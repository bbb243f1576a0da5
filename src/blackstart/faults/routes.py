"""What faults have in common that change the `http` routes of an Istio VirtualService.

The same patch carries the run's label and the undo record, and holds only for
the version that was read. What was there before is the whole spec; what the
fault writes follows from it, so that anything else is somebody else's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import marks, roles
from blackstart.faults.base import Conflict, FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.foreign import VIRTUAL_SERVICES
from blackstart.faults.marks import LABEL
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.fleet.objects import Object, Ref
from blackstart.schema.base import Model

_CONFIRM_REVERTED = 30.0

Route = dict[str, Any]


class RouteData(Model):
    """Which VirtualService."""

    region: str
    service: str
    namespace: str
    name: str
    resource: str = VIRTUAL_SERVICES

    @property
    def ref(self) -> Ref:
        """The object."""
        return Ref(self.resource, self.namespace, self.name)


class _Before(Model):
    uid: str
    spec: dict[str, Any]


class Routes:
    """A change of some routes; kinds say which."""

    kind: str

    def args(self, args: dict[str, Any]) -> dict[str, Any]:
        """What the kind's own data are made of. Raises FaultError."""
        raise NotImplementedError

    def change(self, route: Route, data: dict[str, Any]) -> None:
        """Change one route in place."""
        raise NotImplementedError

    def prove(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """What shows that traffic feels it, by `within` seconds; nothing unless a kind can say. Raises FaultError."""
        return "the routes say so"

    def data(self, data: dict[str, Any]) -> RouteData:
        """The part of a target's data that names the object."""
        return RouteData.model_validate({key: data[key] for key in RouteData.model_fields})

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`service` and `region` by role; `virtual_service`, else one that is called like the Deployment."""
        region, service = roles.region(fleet, args["region"]), roles.service(fleet, args["service"])
        workload = roles.workload(fleet, service, region)
        name = args.get("virtual_service") or workload.deployment
        data = RouteData(region=region, service=service, namespace=workload.namespace, name=name)
        return [Target(f"{region}/{data.namespace}/{name}", {**data.model_dump(), **self.args(args)}, (region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """Its UID and the whole spec."""
        data = self.data(target.data)
        with open_kube(fleet, data.region) as kube:
            found = kube.find(data.ref)
        if found is None:
            raise FaultError(f"{self.kind} {target.name}: no such VirtualService; name it with `virtual_service`")
        if run := marks.run_of(found):
            raise FaultError(
                f"{self.kind} {target.name}: it still carries the label of run {run}; put that back first"
            )
        before = _Before(uid=found["metadata"]["uid"], spec=found["spec"])
        if self.written(before.spec, target.data) == before.spec:
            raise FaultError(f"{self.kind} {target.name}: no route that this would change; nothing to break")
        return before.model_dump()

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """None: every route still answers, only otherwise."""
        return []

    def written(self, spec: Object, data: dict[str, Any]) -> Object:
        """The spec that the fault makes of one."""
        made = copy.deepcopy(spec)
        for route in made.get("http") or []:
            if route.get("route"):
                self.change(route, data)
        return made

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """One patch: label, undo record, routes."""
        before, ref = _Before.model_validate(undo.before), self.data(undo.data).ref

        def claim(found: Object) -> Object | None:
            if marks.record_of(found) == undo:
                return None
            marks.free(found, ref, undo.run)
            if found["metadata"]["uid"] != before.uid or found["spec"] != before.spec:
                raise FaultError(f"{undo.kind} {undo.target}: someone changed it just now")
            return {"metadata": marks.marked(undo), "spec": {"http": self.written(before.spec, undo.data)["http"]}}

        with open_kube(fleet, self.data(undo.data).region) as kube:
            marks.change(kube, ref, claim, fence)

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """Label and routes are there; right after the change, traffic also feels it."""
        data, before = self.data(undo.data), _Before.model_validate(undo.before)
        with open_kube(fleet, data.region) as kube:
            found = kube.get(data.ref)
        if marks.run_of(found) != undo.run or found["spec"] != self.written(before.spec, undo.data):
            raise FaultError(f"{undo.kind} {undo.target}: its routes are no longer what this run wrote")
        return self.prove(fleet, undo, within) if within else "the routes say so"

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """One patch: the old routes, label and record away; only while the fault's own spec stands."""
        data = self.data(undo.data)
        with open_kube(fleet, data.region) as kube:
            marks.give_back(kube, data.ref, undo, lambda found: self._way_back(found, undo))

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """The routes, and the run's label and record."""
        data = self.data(undo.data)
        with open_kube(fleet, data.region) as kube:
            found = kube.get(data.ref)
        patch = self._way_back(found, undo)
        if patch is None:
            return []
        thing = f"{data.region}: {data.ref}"
        http = Change(thing, "spec.http", found["spec"].get("http"), patch["spec"]["http"])
        return [http, *marks.removed(thing, undo)]

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """Nothing of the run is on the object."""
        data = self.data(undo.data)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                if marks.run_of(kube.get(data.ref)) == undo.run:
                    raise NotYet(f"it still carries the label {LABEL}")
            return "the routes are as before"

        return wait_for(f"{undo.kind} {undo.target}", _CONFIRM_REVERTED, look)

    def _way_back(self, found: Object, undo: Undo) -> Object | None:
        """The patch that puts it back; None when the run has no claim on it. Raises Conflict."""
        before, ref = _Before.model_validate(undo.before), self.data(undo.data).ref
        if marks.run_of(found) != undo.run:
            return None
        if found["spec"] not in (before.spec, self.written(before.spec, undo.data)):
            raise Conflict(
                f"{undo.kind} {undo.target}: its spec is neither what it was nor what the drill wrote, so someone "
                "else changed it and it is left alone; set it as you want it and accept that with "
                f"`kubectl label {ref.plural} {ref.name} -n {ref.namespace} {LABEL}-`"
            )
        return {"metadata": marks.unmarked(), "spec": {"http": before.spec["http"]}}
