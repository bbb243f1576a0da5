"""Takes away what a step `restore` made: its Restore and its namespaces. Nothing is broken by it.

The record is on disk, and on a slip in Velero's namespace, before there is a
Restore or a namespace; each namespace carries the run's label from its first
moment. A Restore that still goes on would make its namespace anew: it goes
first, by Velero's own hand while that lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import marks
from blackstart.faults.base import Conflict, FaultError, Target, for_each
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.marks import LABEL
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.fleet.objects import Object, Ref
from blackstart.fleet.velero import restore_ref
from blackstart.schema.base import Model

NAMESPACES = "v1/namespaces"
KIND = "restored"

PATIENCE = 20.0
"""Seconds that Velero gets to let go of its Restore."""

GONE = 90.0
"""Seconds in which a namespace must be gone: its pods may take their time to end."""

_PAUSE = 0.25


class RestoredData(Model):
    """`namespace`: where the slip is; `names`: the namespaces that were made, `source`: as copies of which."""

    region: str
    run: str
    namespace: str
    resource: str = NAMESPACES
    names: list[str]
    restores: bool = True
    source: str = ""


class RestoredNamespaces:
    """Namespaces that a run made."""

    kind = KIND
    slipped = True
    verbs = ("get", "delete")

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """It is made by a step of a procedure only."""
        raise FaultError(f"{self.kind}: is made by the step `restore`, by nothing else")

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """Nothing: they were not there."""
        return {}

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """None."""
        return []

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """The step does it."""
        raise FaultError(f"{self.kind}: is made by the step `restore`, by nothing else")

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """Nothing was to break."""
        return "made by a step"

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """The Restore first, then each namespace that has the run's label, then the slip."""
        data = RestoredData.model_validate(undo.data)
        slip = marks.slip(undo, data.namespace)
        with open_kube(fleet, data.region) as kube:
            if data.restores:
                end_restore(kube, restore_ref(data.namespace, slip.name))
            for_each(data.names, lambda name: remove_namespace(kube, name, undo.run))
            marks.take_slip(kube, undo, data.namespace)

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """Restore, namespaces and slip are gone."""
        data = RestoredData.model_validate(undo.data)
        slip = marks.slip(undo, data.namespace)
        refs = [*(Ref(NAMESPACES, "", name) for name in data.names), slip]
        refs += [restore_ref(data.namespace, slip.name)] if data.restores else []

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                left = [str(ref) for ref in refs if kube.find(ref) is not None]
            if left:
                raise NotYet(f"{', '.join(left)} still there")
            return f"{', '.join(f'namespace {name}' for name in data.names)} gone"

        return wait_for(f"{undo.kind} {undo.target}", GONE, look)

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """What would go."""
        data = RestoredData.model_validate(undo.data)
        slip = marks.slip(undo, data.namespace)
        with open_kube(fleet, data.region) as kube:
            found = [ref for ref in (Ref(NAMESPACES, "", n) for n in data.names) if _mine(kube, ref, undo.run)]
            if data.restores and kube.find(ref := restore_ref(data.namespace, slip.name)):
                found.append(ref)
            found += [slip] if kube.find(slip) else []
        return [Change(f"{data.region}: {ref}", f"label {LABEL}", undo.run, None) for ref in found]


def made(name: str, run: str, labels: Object | None = None, annotations: Object | None = None) -> Object:
    """The manifest of a namespace of a run."""
    own = {**(labels or {}), LABEL: run}
    own.pop("kubernetes.io/metadata.name", None)
    metadata = {"name": name, "labels": own, **({"annotations": annotations} if annotations else {})}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def remove_namespace(kube: Kube, name: str, run: str) -> None:
    """Delete a namespace if it is the run's own. Raises Conflict when it is not, KubeError."""
    ref = Ref(NAMESPACES, "", name)
    if found := _mine(kube, ref, run):
        with _gone():
            kube.delete(ref, found["metadata"]["uid"])


def end_restore(kube: Kube, ref: Ref, patience: float = PATIENCE) -> None:
    """Delete a Restore and wait until Velero has let go of it; a Velero that does not is not waited for for long.

    Raises KubeError.
    """
    if kube.find(ref) is None:
        return
    with _gone():
        kube.delete(ref)
    until = time.monotonic() + patience
    while kube.find(ref) is not None:
        if time.monotonic() > until:
            # Velero is dead, or has no bucket: what is then left of the Restore in the bucket is its log.
            with _gone():
                kube.patch(ref, {"metadata": {"finalizers": None}})
            return
        time.sleep(_PAUSE)


def _mine(kube: Kube, ref: Ref, run: str) -> Object | None:
    found = kube.find(ref)
    if found is None or "deletionTimestamp" in found["metadata"]:
        return None
    if marks.run_of(found) != run:
        raise Conflict(
            f"{ref} has no label of run {run}: someone else made it anew, or took it over, and it is left alone; "
            f"delete it, or keep it and remove the ConfigMap blackstart-undo-* in Velero's namespace"
        )
    return found


@contextmanager
def _gone() -> Iterator[None]:
    """Not to find what is to be deleted is as good as to delete it."""
    try:
        yield
    except KubeError as error:
        if error.status != 404:
            raise


FAULT = RestoredNamespaces()
