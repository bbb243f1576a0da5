"""Where the locks on regions are kept, and what they are called. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from blackstart.fleet.lease import LEASES
from blackstart.fleet.model import Cluster, Fleet
from blackstart.fleet.objects import Ref

NAMESPACE = "default"
"""Of the locks in survivors' clusters."""


@dataclass(frozen=True)
class Home:
    """A cluster that keeps locks, and the namespace that they are in."""

    name: str
    cluster: Cluster
    namespace: str


def homes(fleet: Fleet, survivors: Iterable[str]) -> list[Home]:
    """Where locks are kept: the control cluster, else every survivor's; without survivors, every region's."""
    if fleet.control:
        return [Home("control", fleet.control.cluster, fleet.control.namespace)]
    return [Home(r, fleet.regions[r].cluster, NAMESPACE) for r in sorted(survivors) or sorted(fleet.regions)]


def lock_lease(namespace: str, region: str) -> Ref:
    """The Lease that is the lock on a region."""
    return Ref(LEASES, namespace, f"blackstart-lock-{region}")


def majority(where: int) -> int:
    """In how many of so many clusters a run needs its locks."""
    return where // 2 + 1
