"""Makes again what another extension deleted, from what was there.

Only kinds whose meaning is all in their spec: a new object with another UID
does the same. What has an owner is left to the owner, so it is refused.
"""

from __future__ import annotations

import json
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import marks
from blackstart.faults.base import Conflict, FaultError, Target, for_each
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.foreign_base import ForeignData
from blackstart.faults.marks import LABEL
from blackstart.faults.slips import SlipFault
from blackstart.faults.wait import NotYet, wait_for
from blackstart.faults.workloads import STATEFULSETS, WORKLOADS, settled
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object, Ref
from blackstart.schema.base import Model

SERVICES, INGRESSES = "v1/services", "networking.k8s.io/v1/ingresses"

_GONE_WITHIN = 30.0
_CONFIRM_REVERTED = 120.0
_LARGEST = 200_000
"""Bytes: an annotation holds 256 KiB, with the record around the objects."""

_SERVERS_OWN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")


class DeleteData(ForeignData):
    """Which objects."""

    names: list[str]

    def refs(self) -> list[Ref]:
        """The objects."""
        return [Ref(self.resource, self.namespace, name) for name in self.names]


class _Before(Model):
    uids: dict[str, str]
    objects: dict[str, dict[str, Any]]


class ForeignDelete(SlipFault):
    """Objects that were there before."""

    kind = "foreign-delete"
    verbs = ("get", "create")

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`region`, `run`, `resource`, and the action's own `name`, `label_selector` and `ns`, as it reads them."""
        region, resource, namespace = args["region"], args["resource"], args.get("ns", "default")
        name, selector = args.get("name"), args.get("label_selector")
        with open_kube(fleet, region) as kube:
            found = kube.select(resource, namespace, "" if name else selector or "")
        names = sorted(o["metadata"]["name"] for o in found if not name or o["metadata"]["name"] == name)
        if not names:
            raise FaultError(f"{self.kind}: no {resource} {name or selector or ''} in {region}/{namespace}")
        data = DeleteData(region=region, run=args["run"], resource=resource, namespace=namespace, names=names)
        return [Target(f"{region}/{namespace}/{','.join(names)}", data.model_dump(), (region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """The objects whole, without what the API server made of them."""
        data = DeleteData.model_validate(target.data)
        with open_kube(fleet, data.region) as kube:
            found = {ref.name: _whole(kube.get(ref), ref, data.run) for ref in data.refs()}
        before = _Before(
            uids={name: o["metadata"]["uid"] for name, o in found.items()},
            objects={name: _bare(o) for name, o in found.items()},
        ).model_dump()
        if len(json.dumps(before)) > _LARGEST:
            raise FaultError(f"{self.kind} {target.name}: too much to remember; delete fewer objects at once")
        return before

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """None of them is left."""
        data, uids = DeleteData.model_validate(undo.data), _Before.model_validate(undo.before).uids

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                if left := [ref for ref in data.refs() if _is(kube.find(ref), uids[ref.name])]:
                    raise NotYet(f"{left[0]} is still there")
            return f"deleted: {', '.join(data.names)}"

        return wait_for(f"{undo.kind} {undo.target}", within, look)

    def put_back(self, kube: Kube, undo: Undo) -> None:
        """Create what is not there."""

        def make(ref: Ref) -> None:
            if body := self._missing(kube, ref, undo):
                kube.create(ref, body)

        for_each(DeleteData.model_validate(undo.data).refs(), make)

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """All are there, workloads with all their pods, and the slip is gone."""
        data = DeleteData.model_validate(undo.data)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                for ref in data.refs():
                    found = kube.get(ref)
                    if data.resource in WORKLOADS and not settled(data.resource, found):
                        raise NotYet(f"{ref}: not all of its pods are available")
                if kube.find(marks.slip(undo, data.namespace)):
                    raise NotYet("the slip is still there")
            return f"there again: {', '.join(data.names)}"

        return wait_for(f"{undo.kind} {undo.target}", _CONFIRM_REVERTED, look)

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """The objects come, the slip goes."""
        data = DeleteData.model_validate(undo.data)
        slip = marks.slip(undo, data.namespace)
        with open_kube(fleet, data.region) as kube:
            missing = [(ref, body) for ref in data.refs() if (body := self._missing(kube, ref, undo))]
            noted = marks.slip_left(kube, undo, data.namespace)
        found = [Change(f"{data.region}: {ref}", "spec", None, body["spec"]) for ref, body in missing]
        return found + ([Change(f"{data.region}: {slip}", f"label {LABEL}", undo.run, None)] if noted else [])

    def _missing(self, kube: Kube, ref: Ref, undo: Undo) -> Object | None:
        """What has to be created; waits for one that is just being deleted. Raises Conflict, FaultError."""
        before = _Before.model_validate(undo.before)
        uid, body = before.uids[ref.name], before.objects[ref.name]

        def look() -> str:
            found = kube.find(ref)
            if found and found["metadata"].get("deletionTimestamp"):
                raise NotYet("it is still being deleted")
            return "" if found is None else "there"

        if not wait_for(f"{self.kind} {ref}", _GONE_WITHIN, look):
            return body
        found = kube.find(ref)
        if found and not _is(found, uid) and found["spec"] != body["spec"]:
            raise Conflict(
                f"{self.kind} {ref}: someone made another one: {found['spec']}; it was {body['spec']}; it is left "
                "alone; to keep it, remove its slip, the ConfigMap blackstart-undo-*"
            )
        return None


def _whole(found: Object, ref: Ref, run: str) -> Object:
    """The object, if making it again is the same as never deleting it. Raises FaultError."""
    marks.free(found, ref, run)
    meta, spec = found["metadata"], found.get("spec") or {}
    why = None
    if meta.get("ownerReferences"):
        why = f"it belongs to {meta['ownerReferences'][0].get('name')}, which would make it again itself"
    elif meta.get("finalizers"):
        why = f"its finalizer {meta['finalizers'][0]} does more than a new object would undo"
    elif ref.resource == SERVICES and spec.get("type") == "LoadBalancer":
        why = "a new load balancer has another address"
    elif ref.resource == STATEFULSETS and _retention(spec) == "Delete":
        why = "its volumes go with it (persistentVolumeClaimRetentionPolicy)"
    elif marks.run_of(found):
        why = "this run has changed it already"
    if why:
        raise FaultError(
            f"foreign-delete {ref}: deleting it cannot be undone: {why}; write `undo: none` and a `reason`"
        )
    return found


def _retention(spec: dict[str, Any]) -> Any:
    return (spec.get("persistentVolumeClaimRetentionPolicy") or {}).get("whenDeleted")


def _bare(found: Object) -> Object:
    kept = {key: value for key, value in found["metadata"].items() if key not in _SERVERS_OWN}
    return {**{key: value for key, value in found.items() if key != "status"}, "metadata": kept}


def _is(found: Object | None, uid: str) -> bool:
    return found is not None and found["metadata"]["uid"] == uid


FAULT = ForeignDelete()
