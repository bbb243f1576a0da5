"""Waits for what another extension's deleted pods leave to their owners: new pods are the undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults.base import FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.foreign_base import Foreign, ForeignData
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object
from blackstart.schema.base import Model

PODS = "v1/pods"
_CONFIRM_REVERTED = 120.0


class PodsData(ForeignData):
    """The pods among which the action chooses."""

    selector: str


class _Before(Model):
    uids: list[str]
    ready: int


class ForeignPods(Foreign):
    """Some of the pods of a namespace."""

    kind = "foreign-pods"
    guarded = False

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`region`, `run`, and the action's own `label_selector` and `ns`."""
        selector, namespace = args.get("label_selector") or "", args.get("ns", "default")
        data = PodsData(region=args["region"], run=args["run"], resource=PODS, namespace=namespace, selector=selector)
        return [Target(f"{data.region}/{namespace}/{selector or 'every pod'}", data.model_dump(), (data.region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """Which pods there are; each has somebody who makes a new one."""
        data = PodsData.model_validate(target.data)
        with open_kube(fleet, data.region) as kube:
            pods = _pods(kube, data)
        if not pods:
            raise FaultError(f"{self.kind} {target.name}: no pod matches; nothing to break")
        if alone := [p["metadata"]["name"] for p in pods if not p["metadata"].get("ownerReferences")]:
            raise FaultError(
                f"{self.kind} {target.name}: nobody makes the pod {alone[0]} again; narrow `label_selector`, "
                "or write `undo: none` and a `reason`"
            )
        return _Before(uids=[p["metadata"]["uid"] for p in pods], ready=sum(map(_ready, pods))).model_dump()

    def mark(self, kube: Kube, undo: Undo, fence: Callable[[], None]) -> None:
        """Nothing to claim: nothing will be written back."""

    def held(self, kube: Kube, undo: Undo) -> bool:
        """Nobody can take it away."""
        return True

    def take_back(self, kube: Kube, undo: Undo) -> None:
        """Nothing to take back."""

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """At least one of them is gone."""
        data, before = PodsData.model_validate(undo.data), set(_Before.model_validate(undo.before).uids)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                gone = before - {pod["metadata"]["uid"] for pod in _pods(kube, data)}
            if not gone:
                raise NotYet("every pod of before is still there")
            return f"{len(gone)} of {len(before)} pods are gone"

        return wait_for(f"{undo.kind} {undo.target}", within, look)

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Nothing to write."""

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """As many of them are ready as before."""
        data, before = PodsData.model_validate(undo.data), _Before.model_validate(undo.before)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                ready = sum(map(_ready, _pods(kube, data)))
            if ready < before.ready:
                raise NotYet(f"{ready} of {before.ready} pods ready")
            return f"{ready} pods ready"

        return wait_for(f"{undo.kind} {undo.target}", _CONFIRM_REVERTED, look)

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """None."""
        return []


def _pods(kube: Kube, data: PodsData) -> list[Object]:
    found = kube.select(PODS, data.namespace, data.selector)
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def _ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


FAULT = ForeignPods()
