"""What each region of each service has, before the drill and after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from blackstart.evidence.records import Check
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Cluster, Fleet, Workload
from blackstart.procedures import steady
from blackstart.run import activestores
from blackstart.run.looks import Look, Wrong, run_looks


@dataclass(frozen=True)
class Capacity:
    """Of one workload or store: how many are wanted, how many are ready; `what` they are."""

    wanted: int
    ready: int
    what: str = "pods ready"

    def __str__(self) -> str:
        return f"{self.ready} of {self.wanted} {self.what}"


Census = Callable[[], Capacity]
"""Counts one workload; raises when that cannot be done."""


def censuses(fleet: Fleet, services: Mapping[str, str]) -> dict[str, Census]:
    """The counts to take: `service/region`, `service/store/name` -> how to count it."""
    found: dict[str, Census] = {}
    for name in dict.fromkeys(services.values()):
        for region, workload in fleet.services[name].workloads.items():
            found[f"{name}/{region}"] = _census(fleet.regions[region].cluster, workload)
        for store in fleet.services[name].stores:
            found[f"{name}/store/{store}"] = _store_census(fleet, store)
    return found


def look_at_store(fleet: Fleet, name: str) -> str:
    """Whether a store's primary is at home and its replicas in step, or all members. Raises Wrong, or FleetError."""
    if fleet.stores[name].multi_active:
        return activestores.look(fleet, name)
    try:
        return steady.look(fleet, name)
    except steady.Unsteady as found:
        raise Wrong(str(found)) from None


def count_workload(cluster: Cluster, workload: Workload) -> Capacity:
    """Count the pods of a workload now. Raises KubeError."""
    with Kube(cluster) as kube:
        deployment = kube.deployment(workload.namespace, workload.deployment)
        pods = kube.pods(workload.namespace, deployment.selector)
    return Capacity(deployment.replicas, sum(pod.ready for pod in pods))


def _census(cluster: Cluster, workload: Workload) -> Census:
    return lambda: count_workload(cluster, workload)


def _store_census(fleet: Fleet, name: str) -> Census:
    def count() -> Capacity:
        look_at_store(fleet, name)
        members = len(fleet.stores[name].members)
        return Capacity(members, members, "servers in their role and in step")

    return count


async def take(censuses: Mapping[str, Census], deadline: float) -> tuple[dict[str, Capacity], list[Check]]:
    """Count everything; of what could not be counted the check (`before/service/region`) is unknown or wrong."""
    found: dict[str, Capacity] = {}

    def look(key: str, census: Census) -> str:
        found[key] = census()
        return str(found[key])

    looks: dict[str, Look] = {f"before/{key}": _bound(look, key, census) for key, census in censuses.items()}
    checks = await run_looks(looks, deadline)
    return found, checks


async def completeness(
    censuses: Mapping[str, Census], before: Mapping[str, Capacity], patience: float, deadline: float
) -> list[Check]:
    """Whether as much is there as before: `completeness/service/region`.

    Counts again for up to `patience` seconds while something is missing, each
    time for at most `deadline` seconds.
    """
    looks: dict[str, Look] = {
        f"completeness/{key}": _bound(_compare, census, before.get(key)) for key, census in censuses.items()
    }
    end = time.monotonic() + patience
    checks = {check.name: check for check in await run_looks(looks, deadline)}
    while not all(check.ok for check in checks.values()) and time.monotonic() < end:
        await asyncio.sleep(0.5)
        again = {name: looks[name] for name, check in checks.items() if not check.ok}
        checks.update({check.name: check for check in await run_looks(again, deadline)})
    return list(checks.values())


def _compare(census: Census, before: Capacity | None) -> str:
    if before is None:
        raise RuntimeError("nothing was counted before the drill")
    now = census()
    if now.wanted != before.wanted or now.ready < before.ready:
        raise Wrong(f"{now}, before the drill {before}")
    return str(now)


def _bound[*A](call: Callable[[*A], str], *args: *A) -> Look:
    return lambda: call(*args)
