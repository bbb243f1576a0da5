"""Takes the bucket of the backups away, with its power commands in fleet.yaml; nobody's service depends on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from blackstart.evidence.undo import Undo
from blackstart.faults import paths
from blackstart.faults.base import FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet import power
from blackstart.fleet.backups import Bucket
from blackstart.fleet.model import ControlPath, Fleet, Power
from blackstart.fleet.objects import Ref
from blackstart.fleet.velero import LOCATIONS

_SEEN = 150.0
"""Seconds: Velero looks at its bucket once a minute, unless it is told otherwise."""


class KillBucket:
    """The server of the bucket without power. It comes back with what is in it."""

    kind = "kill-bucket"
    guarded = False

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """The one of `backups` in fleet.yaml; its `region` is locked, where it lies in one."""
        bucket = _bucket(fleet)
        _power(fleet)
        return [Target(bucket.bucket, {"bucket": bucket.bucket}, (bucket.region,) if bucket.region else ())]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """That it is up."""
        if (found := power.state(_power(fleet))) != "up":
            raise FaultError(f"{self.kind}: its state is {found!r}, not 'up'; bring it up first")
        return {}

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """Its own address: any answer counts."""
        return [_path(fleet)]

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Kill it."""
        power.kill(_power(fleet))

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """The power command says that it is dead."""
        if (found := power.state(_power(fleet))) != "dead":
            raise FaultError(f"{undo.kind}: its state is {found!r}, not 'dead'")
        return "state dead"

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Bring it back."""
        power.restore(_power(fleet))

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """Its state, by the power command."""
        found = power.state(_power(fleet))
        return [] if found == "up" else [Change(f"bucket {undo.target}", "power", found, "up")]

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """It is up, it answers, and every region's Velero has seen that: without, no backup could be taken."""
        switch, path = _power(fleet), _path(fleet)

        def look() -> str:
            if (found := power.state(switch)) != "up":
                raise NotYet(f"its state is {found!r}")
            if paths.ask(fleet, path) is None:
                raise NotYet(f"no answer at {path.address}")
            for name in fleet.regions:
                _seen(fleet, name)
            return f"{path.address} answers"

        return wait_for(f"{undo.kind} {undo.target}", max(switch.deadline, _SEEN), look)


def _seen(fleet: Fleet, region: str) -> None:
    """Raise NotYet while the Velero of a region says that it cannot reach the bucket."""
    velero = fleet.regions[region].velero
    if velero is None:
        return
    with open_kube(fleet, region) as kube:
        found = kube.find(Ref(LOCATIONS, velero.namespace, velero.location))
    phase = ((found or {}).get("status") or {}).get("phase", "Available")
    if phase != "Available":
        raise NotYet(f"for the Velero of {region} it is {phase}")


def _bucket(fleet: Fleet) -> Bucket:
    if fleet.backups is None:
        raise FaultError(f"fleet {fleet.fleet!r} has no `backups`; say where the bucket of its backups is")
    return fleet.backups


def _power(fleet: Fleet) -> Power:
    found = _bucket(fleet).power
    if found is None:
        raise FaultError(f"fleet {fleet.fleet!r}: `backups` has no `power`; say how the bucket is taken away")
    return found


def _path(fleet: Fleet) -> ControlPath:
    bucket = _bucket(fleet)
    url = urlsplit(bucket.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    return ControlPath(place=bucket.place, address=f"{url.hostname}:{port}", get="/", tls=url.scheme == "https")


FAULT = KillBucket()
