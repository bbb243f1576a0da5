"""Takes a region away as a real loss would, with the power commands of fleet.yaml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import paths, roles
from blackstart.faults.base import FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.clusters import open_kube
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet import power
from blackstart.fleet.kube import Kube, Pod
from blackstart.fleet.model import ControlPath, Fleet, Power, Workload
from blackstart.schema.base import Model


class _Data(Model):
    region: str


class _Before(Model):
    containers: list[str]


class Kill:
    """A region without power."""

    kind = "kill"
    guarded = False

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`region` by role."""
        region = roles.region(fleet, args["region"])
        _power(fleet, region)
        return [Target(region, _Data(region=region).model_dump(), (region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """The containers that run now: after the return only others count."""
        region = _Data.model_validate(target.data).region
        found = power.state(_power(fleet, region))
        if found != "up":
            raise FaultError(f"kill {region}: its state is {found!r}, not 'up'; bring it up first")
        with open_kube(fleet, region) as kube:
            pods = [pod for workload in _workloads(fleet, region) for pod in _pods(kube, workload)]
        return _Before(containers=sorted({c for pod in pods for c in pod.containers})).model_dump()

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """Everything that leads into the region."""
        return paths.of_region(fleet, _Data.model_validate(target.data).region)

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Kill it."""
        power.kill(_power(fleet, _Data.model_validate(undo.data).region))

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """The power command says that it is dead."""
        found = power.state(_power(fleet, _Data.model_validate(undo.data).region))
        if found != "dead":
            raise FaultError(f"kill {undo.target}: its state is {found!r}, not 'dead'")
        return "state dead"

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Bring it back."""
        power.restore(_power(fleet, _Data.model_validate(undo.data).region))

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """Its state, by the power command."""
        found = power.state(_power(fleet, _Data.model_validate(undo.data).region))
        return [] if found == "up" else [Change(f"region {undo.target}", "power", found, "up")]

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """It is up, its workloads are available in new containers, and everything that leads into it answers."""
        region = _Data.model_validate(undo.data).region
        old = frozenset(_Before.model_validate(undo.before).containers)
        switch = _power(fleet, region)

        def look() -> str:
            if (found := power.state(switch)) != "up":
                raise NotYet(f"its state is {found!r}")
            with open_kube(fleet, region) as kube:
                for workload in _workloads(fleet, region):
                    _back(fleet, region, kube, workload, old)
            return paths.all_answer(fleet, paths.of_region(fleet, region))

        return wait_for(f"kill {region}", switch.deadline, look)


def _power(fleet: Fleet, region: str) -> Power:
    found = fleet.regions[region].power
    if found is None:
        raise FaultError(
            f"fleet {fleet.fleet!r}: region {region!r} has no `power`; use isolate, or say how to kill it"
        )
    return found


def _workloads(fleet: Fleet, region: str) -> list[Workload]:
    return [s.workloads[region] for s in fleet.services.values() if region in s.workloads]


def _pods(kube: Kube, workload: Workload) -> list[Pod]:
    return kube.pods(workload.namespace, kube.deployment(workload.namespace, workload.deployment).selector)


def _back(fleet: Fleet, region: str, kube: Kube, workload: Workload, old: frozenset[str]) -> None:
    """Raise NotYet unless the workload is available by pods that are really there."""
    deployment = kube.deployment(workload.namespace, workload.deployment)
    ready = [pod for pod in kube.pods(workload.namespace, deployment.selector) if pod.ready]
    # Until its kubelet reports, a region that came back lists the pods of before as Ready.
    live = [pod for pod in ready if not pod.containers & old or _answers(fleet, region, pod)]
    if not deployment.settled or len(live) < deployment.replicas:
        raise NotYet(
            f"{workload.namespace}/{workload.deployment}: {len(live)} of {deployment.replicas} pods are back"
        )


def _answers(fleet: Fleet, region: str, pod: Pod) -> bool:
    """An old container counts when it answers itself: then it was never killed."""
    path = ControlPath(place=fleet.regions[region].place, address=f"{pod.ip}:{pod.port}", get=pod.path)
    return pod.port is not None and paths.answers(fleet, path)


FAULT = Kill()
