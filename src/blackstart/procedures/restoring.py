"""The moves of a restore in one cluster: let Velero know the backup, make namespaces and Restore, see it through."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from blackstart.evidence.failpoints import failpoint
from blackstart.evidence.records import FaultEvent, FaultState, Interval
from blackstart.evidence.undo import Store, Undo, now
from blackstart.faults import marks
from blackstart.faults.restored import KIND, NAMESPACES, RestoredData, made
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.lease import RUN_LABEL
from blackstart.fleet.objects import Object, Ref
from blackstart.fleet.velero import ENDS, LOCATION_LABEL, RESTORES, Backup, backup_ref, restore_ref
from blackstart.procedures.archive import Kept
from blackstart.procedures.base import Deadline, StepError, Work
from blackstart.schema.restore import Restore


@dataclass(frozen=True)
class Place:
    """Where it is restored: the region, its cluster, Velero's namespace there and its name for the bucket."""

    region: str
    kube: Kube
    namespace: str
    location: str


def known_there(
    place: Place, backup: Backup, wanted: Restore, deadline: Deadline
) -> Literal["there", "synced", "posted"]:
    """See to it that the Velero of the region knows the backup. Raises Late, KubeError."""
    ref = backup_ref(place.namespace, backup.name)
    if place.kube.find(ref) is not None:
        return "there"
    if wanted.sync == "post":
        return _post(place, backup, ref)
    deadline.until(
        lambda: f"Velero in {place.region} does not know backup {backup.name!r} yet (it looks once a minute)",
        lambda: place.kube.find(ref),
    )
    return "synced"


def _post(place: Place, backup: Backup, ref: Ref) -> Literal["posted", "synced"]:
    """What Velero does itself once a minute: make the object that the bucket describes, with its status."""
    labels = {**(backup.raw["metadata"].get("labels") or {}), LOCATION_LABEL: place.location}
    kept = {key: value for key, value in backup.raw["metadata"].items() if key == "annotations"}
    metadata = {**kept, "name": backup.name, "namespace": place.namespace, "labels": labels}
    spec = {**(backup.raw.get("spec") or {}), "storageLocation": place.location}
    manifest = {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": metadata, "spec": spec}
    try:
        place.kube.create(ref, {**manifest, "status": backup.raw.get("status") or {}})
    except KubeError as error:
        if error.status != 409:
            raise
        return "synced"
    return "posted"


def prepare(work: Work, place: Place, namespaces: dict[str, str], kept: Iterable[Kept]) -> Undo:
    """Write down what is about to be made, then make the namespaces. Raises StepError, UndoError, KubeError.

    What is there already is used only when this run made it.
    """
    objects = list(kept)
    names = list(namespaces.values())
    for name in names:
        _free(place, name, work.run)
    data = RestoredData(region=place.region, run=work.run, namespace=place.namespace, names=names)
    undo = Undo(
        run=work.run,
        fault=_next(work.undo, work.run),
        kind=KIND,
        target=f"{place.region}/{','.join(names)}",
        fleet=str(work.fleet.source or ""),
        clusters={place.region: work.fleet.regions[place.region].cluster.uid},
        data=data.model_dump(),
        before={},
        at=now(),
    )
    work.undo.arm(undo)
    tell(work, undo, FaultState.ARMED)
    failpoint("restore.armed")
    marks.leave_slip(place.kube, undo, place.namespace, lambda: work.fence((place.region,)))
    failpoint("restore.slip")
    for old, new in namespaces.items():
        body = next((each.body for each in objects if each.kind == "namespaces" and each.name == old), None)
        _make(work, place, new, (body or {}).get("metadata") or {})
    failpoint("restore.namespaces")
    return undo


def begin(
    work: Work, place: Place, undo: Undo, backup: Backup, wanted: Restore, spaces: dict[str, str], ports: list[Object]
) -> Ref:
    """Make the Restore, named like the slip. Raises KubeError, or what the fence does."""
    slip = marks.slip(undo, place.namespace)
    spec: dict[str, Any] = {
        "backupName": backup.name,
        "includedNamespaces": list(spaces),
        "namespaceMapping": {old: new for old, new in spaces.items() if old != new},
        "existingResourcePolicy": wanted.existing,
        **({"includedResources": wanted.include} if wanted.include else {}),
        **({"excludedResources": wanted.exclude} if wanted.exclude else {}),
    }
    if ports:
        rules = json.dumps({"version": "v1", "resourceModifierRules": ports})
        place.kube.patch(slip, {"data": {"rules": rules}})
        spec["resourceModifier"] = {"kind": "ConfigMap", "name": slip.name}
    ref = restore_ref(place.namespace, slip.name)
    work.fence((place.region,))
    metadata = {"name": ref.name, "namespace": ref.namespace, "labels": {RUN_LABEL: work.run}}
    place.kube.create(ref, {"apiVersion": "velero.io/v1", "kind": "Restore", "metadata": metadata, "spec": spec})
    failpoint("restore.created")
    return ref


def ended(place: Place, ref: Ref, deadline: Deadline) -> Object:
    """The status of the Restore once Velero is done. Raises Late, StepError, KubeError."""
    last = "no phase yet"

    def look() -> Object | None:
        nonlocal last
        found = place.kube.find(ref)
        if found is None:
            raise StepError(f"{ref} in {place.region} was deleted while it went on")
        status: Object = found.get("status") or {}
        last = str(status.get("phase") or "no phase yet: is Velero running?")
        return status if last in ENDS else None

    return deadline.until(lambda: f"{ref} in {place.region}: {last}", look)


def free_ports(kept: Iterable[Kept], spaces: dict[str, str]) -> list[Object]:
    """Rules for Velero: services that are restored beside the ones that they are copies of give up their node ports.

    Those of the original are taken in a cluster where it runs, too; Kubernetes assigns others.
    """
    rules = []
    for each in kept:
        spec = each.body.get("spec") or {}
        moved = each.kind == "services" and spaces.get(each.namespace, each.namespace) != each.namespace
        if moved and any("nodePort" in port for port in spec.get("ports") or []):
            ports = [{k: v for k, v in port.items() if k != "nodePort"} for port in spec["ports"]]
            patch: dict[str, Any] = {"spec": {"ports": ports}}
            if "healthCheckNodePort" in spec:
                patch["spec"]["healthCheckNodePort"] = None
            about = {"groupResource": "services", "namespaces": [each.namespace]}
            about["resourceNameRegex"] = f"^{each.name}$"
            rules.append({"conditions": about, "mergePatches": [{"patchData": json.dumps(patch)}]})
    return rules


def tell(work: Work, undo: Undo, state: FaultState, t0: Interval | None = None, detail: str = "") -> None:
    """A record of what was made, as of a fault: it has to be put back like one."""
    work.tell(FaultEvent(fault=undo.fault, kind=undo.kind, target=undo.target, state=state, t0=t0, detail=detail))


def _free(place: Place, name: str, run: str) -> None:
    found = place.kube.find(Ref(NAMESPACES, "", name))
    if found is None:
        return
    if "deletionTimestamp" in found["metadata"]:
        raise StepError(f"namespace {name!r} in {place.region} is still being deleted; restore once it is gone")
    if marks.run_of(found) != run:
        raise StepError(
            f"namespace {name!r} is there in {place.region} already, and this run did not make it: nothing is "
            "restored into it; name another one, or `blackstart recover` what an earlier run left"
        )


def _make(work: Work, place: Place, name: str, meta: Object) -> None:
    ref = Ref(NAMESPACES, "", name)
    work.fence((place.region,))
    try:
        place.kube.create(ref, made(name, work.run, meta.get("labels"), meta.get("annotations")))
    except KubeError as error:
        if error.status != 409:
            raise
        _free(place, name, work.run)


def _next(store: Store, run: str) -> str:
    numbers = [int(name.rpartition("-")[2]) for name in store.faults(run) if name.rpartition("-")[0] == KIND]
    return f"{KIND}-{max(numbers, default=0) + 1}"


__all__ = ["RESTORES", "Place", "begin", "ended", "free_ports", "known_there", "prepare", "tell"]
