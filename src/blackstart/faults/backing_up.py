"""Has Velero take a backup, and waits for it."""

from __future__ import annotations

import hashlib

from blackstart.faults.base import FaultError
from blackstart.faults.clusters import open_kube
from blackstart.faults.sandbox import SUFFIX
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet.lease import RUN_LABEL
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object
from blackstart.fleet.velero import ENDS, backup_ref

TTL = "1h0m0s"
"""A drill's backup is nobody's after that: Velero removes it."""


def fresh_name(run: str, namespace: str) -> str:
    """What the backup of a namespace is called that a run takes."""
    return f"blackstart-{hashlib.sha256(run.encode()).hexdigest()[:10]}-{namespace}"[:63].rstrip("-")


def back_up(fleet: Fleet, region: str, namespace: str, run: str, *, sandbox: bool, deadline: float) -> str:
    """The name of a completed backup of a namespace, or of its sandbox. Raises FaultError, KubeError."""
    velero = fleet.regions[region].velero
    if velero is None:
        raise FaultError(f"fleet {fleet.fleet!r}: region {region!r} has no `velero`; say where its Velero is")
    name = namespace + (SUFFIX if sandbox else "")
    ref = backup_ref(velero.namespace, fresh_name(run, name))
    spec = {"includedNamespaces": [name], "storageLocation": velero.location, "ttl": TTL, "snapshotVolumes": False}
    metadata = {"name": ref.name, "namespace": ref.namespace, "labels": {RUN_LABEL: run}}
    manifest = {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": metadata, "spec": spec}
    with open_kube(fleet, region) as kube:
        kube.create(ref, manifest)

        def look() -> str:
            status: Object = kube.get(ref).get("status") or {}
            phase = str(status.get("phase") or "New")
            if phase not in ENDS:
                raise NotYet(f"it is {phase}")
            if phase != "Completed":
                why = [*(status.get("validationErrors") or []), status.get("failureReason") or ""]
                raise FaultError(f"{ref} in {region} is {phase}: {'; '.join(filter(None, map(str, why)))}")
            return ref.name

        return wait_for(f"{ref} in {region}", deadline, look)
