"""Deletes the sandbox of a service, a namespace that the drill itself made; never any other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import marks, roles
from blackstart.faults.base import FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.restored import NAMESPACES
from blackstart.faults.sandbox import SUFFIX
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.fleet.objects import Ref
from blackstart.schema.base import Model


class _Data(Model):
    region: str
    name: str

    @property
    def ref(self) -> Ref:
        """The namespace."""
        return Ref(NAMESPACES, "", self.name)


class DeleteNamespace:
    """Nothing has to be put back: what is deleted was made to be lost."""

    kind = "delete-namespace"
    guarded = False

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`service` and `region` by role: the sandbox that `sandbox` makes of its namespace there."""
        region, name = roles.region(fleet, args["region"]), roles.service(fleet, args["service"])
        data = _Data(region=region, name=f"{roles.workload(fleet, name, region).namespace}{SUFFIX}")
        return [Target(f"{region}/{data.name}", data.model_dump(), (region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """Which one it is; it must have a run's label."""
        data = _Data.model_validate(target.data)
        with open_kube(fleet, data.region) as kube:
            found = kube.find(data.ref)
        if found is None:
            raise FaultError(f"{self.kind}: there is no {data.ref} in {data.region}; make it with `sandbox` first")
        if marks.run_of(found) is None:
            raise FaultError(f"{self.kind}: {data.ref} in {data.region} was not made by a drill; it is left alone")
        return {"uid": found["metadata"]["uid"]}

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """None: nobody is served from there."""
        return []

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Delete exactly the one that was seen, if it is this run's own."""
        data = _Data.model_validate(undo.data)
        with open_kube(fleet, data.region) as kube:
            found = kube.get(data.ref)
            if marks.run_of(found) != undo.run:
                raise FaultError(f"{undo.kind}: {data.ref} is of another run; it is left alone")
            fence()
            kube.delete(data.ref, str(undo.before["uid"]), found["metadata"]["resourceVersion"])

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """The one that was seen is gone, whatever has its name by now."""
        data = _Data.model_validate(undo.data)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                found = kube.find(data.ref)
            if found is not None and found["metadata"]["uid"] == undo.before["uid"]:
                raise NotYet(f"{data.ref} is still being deleted")
            return f"{data.ref} is gone"

        return wait_for(f"{undo.kind} {undo.target}", within, look)

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Nothing to do."""

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """What was lost was the drill's own."""
        return f"namespace {_Data.model_validate(undo.data).name} was made by the drill, to be lost"

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """None."""
        return []


FAULT = DeleteNamespace()
