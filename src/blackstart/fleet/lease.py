"""Leases: who may change what, until when. Every write names the version that it is based on.

A run holds one in each namespace whose objects it changes; its guardian there
takes it over once it has expired. Locks on regions are Leases too.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.objects import Object, Ref

LEASES = "coordination.k8s.io/v1/leases"
RUN_LABEL = "blackstart.dev/run"
GUARDIAN = "guardian"
"""The holder of a Lease that expired and was taken over."""

_ATTEMPTS = 10


class Lost(KubeError):  # noqa: N818 - a finding
    """The Lease is gone or somebody else's: its former holder may not change anything any more."""


@dataclass(frozen=True)
class Lease:
    """A Lease as it was read. `seconds`: how long after its last renewal it expires."""

    ref: Ref
    uid: str
    version: str
    holder: str
    seconds: float
    renewed: str
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def mark(self) -> tuple[str, str, str]:
        """Changes when, and only when, a holder takes or renews it."""
        return self.uid, self.holder, self.renewed


def run_lease(namespace: str, run: str) -> Ref:
    """The Lease that a run holds while it changes objects of a namespace."""
    return Ref(LEASES, namespace, f"blackstart-{hashlib.sha256(run.encode()).hexdigest()[:10]}")


def find(kube: Kube, ref: Ref) -> Lease | None:
    """Read a Lease; None when there is none. Raises KubeError."""
    found = kube.find(ref)
    return None if found is None else of(ref, found)


def create(kube: Kube, ref: Ref, run: str, seconds: float) -> Lease:
    """Make a Lease held by `run`. Raises KubeError, with status 409 when there is one."""
    manifest = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": ref.name, "namespace": ref.namespace, "labels": {RUN_LABEL: run}},
        "spec": {**_held_by(run), "leaseDurationSeconds": math.ceil(seconds), "leaseTransitions": 0},
    }
    return of(ref, kube.create(ref, manifest))


def renew(kube: Kube, lease: Lease) -> Lease:
    """Hold it for another while. Raises Lost when another has it, KubeError when that is not known."""
    for _ in range(_ATTEMPTS):
        try:
            return _write(kube, lease, {"spec": {"renewTime": _now()}})
        except KubeError as error:
            if error.status not in (404, 409):
                raise
        # Annotations change it too; only another holder is a loss.
        lease = held(kube, lease.ref, lease.holder)
    raise KubeError(f"{lease.ref}: changes faster than it can be renewed", 409)


def take_over(kube: Kube, lease: Lease, holder: str, run: str | None = None) -> Lease:
    """Become the holder, on behalf of `run` if given. Raises Lost when it changed since it was read."""
    patch: dict[str, Any] = {"spec": _held_by(holder)}
    if run is not None:
        patch["metadata"] = {"labels": {RUN_LABEL: run}}
    try:
        return _write(kube, lease, patch)
    except KubeError as error:
        if error.status not in (404, 409):
            raise
        raise Lost(f"{lease.ref}: it was renewed, taken or deleted just now", error.status) from error


def annotate(kube: Kube, lease: Lease, annotations: dict[str, str]) -> None:
    """Add annotations, whatever else changed. Raises KubeError."""
    kube.patch(lease.ref, {"metadata": {"annotations": annotations}})


def release(kube: Kube, ref: Ref, holder: str) -> bool:
    """Delete the Lease if `holder` has it; whether it is not that holder's any more but still there."""
    for _ in range(_ATTEMPTS):
        found = find(kube, ref)
        if found is None or found.holder != holder:
            return found is not None
        try:
            kube.delete(ref, found.uid, found.version)
        except KubeError as error:
            if error.status not in (404, 409):
                raise
        else:
            return False
    raise KubeError(f"{ref}: changes faster than it can be deleted", 409)


def held(kube: Kube, ref: Ref, holder: str) -> Lease:
    """The Lease, if `holder` has it. Raises Lost when not, KubeError when that is not known."""
    found = find(kube, ref)
    if found is None:
        raise Lost(f"{ref}: it is gone, so {holder} may not change anything any more", 404)
    if found.holder != holder:
        raise Lost(f"{ref}: {found.holder} has taken it, so {holder} may not change anything any more", 409)
    return found


def check_fence(kube: Kube, namespace: str, run: str) -> None:
    """Ask right before a write, between reading the object and patching it with the version read, whether it may be.

    Raises Lost when the run's Lease expired and was taken, KubeError when that is not known: do not write then.
    """
    held(kube, run_lease(namespace, run), run)


def _write(kube: Kube, lease: Lease, patch: dict[str, Any]) -> Lease:
    metadata = {"resourceVersion": lease.version, **patch.get("metadata", {})}
    return of(lease.ref, kube.patch(lease.ref, {**patch, "metadata": metadata}))


def _held_by(holder: str) -> dict[str, str]:
    now = _now()
    return {"holderIdentity": holder, "acquireTime": now, "renewTime": now}


def _now() -> str:
    """For people, and to be different each time; nobody compares it with a clock."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def of(ref: Ref, raw: Object) -> Lease:
    """An object of the API as a Lease."""
    meta, spec = raw["metadata"], raw.get("spec") or {}
    return Lease(
        ref=ref,
        uid=meta["uid"],
        version=meta["resourceVersion"],
        holder=str(spec.get("holderIdentity") or ""),
        seconds=float(spec.get("leaseDurationSeconds") or 0),
        renewed=str(spec.get("renewTime") or ""),
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
    )
