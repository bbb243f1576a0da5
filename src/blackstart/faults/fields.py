"""Faults that set one field of some objects through somebody else's action."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import marks
from blackstart.faults.base import Conflict, FaultError, Target, for_each
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.foreign_base import Foreign, ForeignData
from blackstart.faults.marks import LABEL
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object, Ref
from blackstart.schema.base import Model

Value = int | bool | None

_CONFIRM_REVERTED = 90.0


class FieldData(ForeignData):
    """`value` is what the action writes."""

    names: list[str]
    value: Value

    def refs(self) -> list[Ref]:
        """The objects."""
        return [Ref(self.resource, self.namespace, name) for name in self.names]


class Held(Model):
    """One object before the run; `earlier`: what other actions of the same run wrote into it."""

    uid: str
    value: Value
    earlier: list[Value] = []


class _Before(Model):
    objects: dict[str, Held]


class FieldFault(Foreign):
    """`spec.<field>` of every object of a target."""

    field: str

    def value(self, found: Object) -> Value:
        """The field's value; what the API leaves out is None."""
        value: Value = found["spec"].get(self.field)
        return value

    def refuse(self, kube: Kube, data: FieldData) -> None:
        """Raise FaultError when the change could not be put back. Raises KubeError."""

    def in_effect(self, found: Object, data: FieldData) -> None:
        """Raise NotYet while the controllers have not done what the value asks for."""

    def settled(self, found: Object, data: FieldData) -> None:
        """Raise NotYet while the object is not complete again."""

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """UID and value of each; an object that this run holds already keeps what it had before the run."""
        data = FieldData.model_validate(target.data)
        with open_kube(fleet, data.region) as kube:
            self.refuse(kube, data)
            objects = {ref.name: self._held(kube.get(ref), ref, data) for ref in data.refs()}
            found = [self.value(kube.get(ref)) for ref in data.refs()]
        if all(value == data.value for value in found):
            raise FaultError(f"{self.kind} {target.name}: {self.field} is {data.value} already; nothing to break")
        return _Before(objects=objects).model_dump()

    def mark(self, kube: Kube, undo: Undo, fence: Callable[[], None]) -> None:
        """Label and record onto each object, if it is still as captured."""
        data, before = FieldData.model_validate(undo.data), _Before.model_validate(undo.before)

        for ref in data.refs():
            held = before.objects[ref.name]

            def claim(found: Object, ref: Ref = ref, held: Held = held) -> Object | None:
                if marks.record_of(found) == undo:
                    return None
                marks.free(found, ref, undo.run)
                if found["metadata"]["uid"] != held.uid or self.value(found) not in (held.value, *held.earlier):
                    raise FaultError(f"{undo.kind} {ref}: someone changed it just now ({self.value(found)})")
                return {"metadata": marks.marked(undo)}

            marks.change(kube, ref, claim, fence)

    def held(self, kube: Kube, undo: Undo) -> bool:
        """Whether every object has the label."""
        data = FieldData.model_validate(undo.data)
        return all(marks.run_of(kube.get(ref)) == undo.run for ref in data.refs())

    def take_back(self, kube: Kube, undo: Undo) -> None:
        """The old value, wherever the action's own stands without the label."""
        data, before = FieldData.model_validate(undo.data), _Before.model_validate(undo.before)
        for ref in data.refs():
            held = before.objects[ref.name]

            def decide(found: Object, held: Held = held) -> Object | None:
                late = marks.run_of(found) is None and self.value(found) == data.value
                return {"spec": {self.field: held.value}} if late else None

            marks.change(kube, ref, decide)

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """Label and value are there, and have had their effect."""
        data = FieldData.model_validate(undo.data)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                for ref in data.refs():
                    found = kube.get(ref)
                    if marks.run_of(found) != undo.run or self.value(found) != data.value:
                        raise FaultError(f"{undo.kind} {ref}: {self.field} is no longer {data.value} by this run")
                    self.in_effect(found, data)
            return f"{self.field} is {data.value} at {', '.join(data.names)}"

        return wait_for(f"{undo.kind} {undo.target}", within, look)

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Old value, label and record in one patch each; only where a value of this run still stands."""
        data = FieldData.model_validate(undo.data)
        with open_kube(fleet, data.region) as kube:
            for_each(data.refs(), lambda ref: marks.give_back(kube, ref, undo, lambda o: self._decide(o, ref, undo)))

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """Nothing of the run is on the objects, and they are complete."""
        data = FieldData.model_validate(undo.data)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                for ref in data.refs():
                    found = kube.get(ref)
                    if marks.run_of(found) == undo.run:
                        raise NotYet(f"{ref} still carries the label {LABEL}")
                    self.settled(found, data)
            return f"as before: {', '.join(data.names)}"

        return wait_for(f"{undo.kind} {undo.target}", _CONFIRM_REVERTED, look)

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """The fields that `revert` would write."""
        data = FieldData.model_validate(undo.data)
        found_changes = []
        with open_kube(fleet, data.region) as kube:
            for ref in data.refs():
                found = kube.find(ref)
                patch = self._decide(found, ref, undo) if found else None
                if found and patch:
                    thing, to = f"{data.region}: {ref}", patch["spec"][self.field]
                    found_changes += [Change(thing, f"spec.{self.field}", self.value(found), to)]
                    found_changes += marks.removed(thing, undo)
        return found_changes

    def _held(self, found: Object, ref: Ref, data: FieldData) -> Held:
        marks.free(found, ref, data.run)
        value, record = self.value(found), marks.record_of(found)
        if marks.run_of(found) != data.run:
            return Held(uid=found["metadata"]["uid"], value=value)
        if record is None or record.kind != self.kind:
            raise FaultError(f"{self.kind} {ref}: another fault of this run holds it already")
        known = _Before.model_validate(record.before).objects[ref.name]
        written = FieldData.model_validate(record.data).value
        return known.model_copy(update={"earlier": [*known.earlier, written]})

    def _decide(self, found: Object, ref: Ref, undo: Undo) -> Object | None:
        """The patch that puts an object back; None when the run has no claim on it. Raises Conflict."""
        if marks.run_of(found) != undo.run:
            return None
        # A later action of the same run knows of this one, not the other way round.
        newest = marks.record_of(found)
        record = newest if newest and (newest.run, newest.kind) == (undo.run, undo.kind) else undo
        held = _Before.model_validate(record.before).objects[ref.name]
        written = [FieldData.model_validate(record.data).value, *held.earlier]
        value = self.value(found)
        if value not in (held.value, *written):
            raise Conflict(
                f"{undo.kind} {ref}: {self.field} is {value}; it was {held.value}, the drill wrote {written[0]}, so "
                "someone else changed it and it is left alone; set it as you want it and accept that with "
                f"`kubectl label {ref.plural} {ref.name}{f' -n {ref.namespace}' if ref.namespace else ''} {LABEL}-`"
            )
        return {"metadata": marks.unmarked(), "spec": {self.field: held.value}}
