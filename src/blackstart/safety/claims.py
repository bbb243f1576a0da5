"""Leases that runs left behind: who still renews them, how to take them from a dead run, how to remove them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from blackstart.fleet import lease as leases
from blackstart.fleet.clusterroles import discard
from blackstart.fleet.errors import FleetError
from blackstart.fleet.kube import Kube
from blackstart.fleet.lease import GUARDIAN
from blackstart.fleet.model import Fleet
from blackstart.safety.sweep import Claim, Role, clusters

RECOVER = "recover"
"""The holder of a Lease that was taken from a dead run."""

_LOOK = 0.5
_MARGIN = 1.0


def renewed(fleet: Fleet, claims: Iterable[Claim], clock: Callable[[], float] = time.monotonic) -> set[str]:
    """The runs that renew a Lease while it is watched, at most for as long as the longest of them lasts.

    By this machine's own clock: nobody compares the time in a Lease with it.
    """
    watched = [claim for claim in claims if claim.lease.holder == claim.run]
    found: set[str] = set()
    until = clock() + max((claim.lease.seconds + _MARGIN for claim in watched), default=0.0)
    while watched and clock() < until:
        time.sleep(_LOOK)
        found |= {claim.run for claim in watched if _changed(fleet, claim)}
        watched = [claim for claim in watched if claim.run not in found]
    return found


def take(fleet: Fleet, claim: Claim) -> None:
    """Fence the run off: a process of it that wakes up finds that its Lease is somebody else's. Raises KubeError."""
    if claim.lock or claim.lease.holder in (RECOVER, GUARDIAN):
        return
    with Kube(clusters(fleet)[claim.cluster]) as kube:
        leases.take_over(kube, claim.lease, RECOVER, claim.run)


def drop(fleet: Fleet, claim: Claim) -> None:
    """Delete the Lease, and with it all that belongs to it. Raises KubeError."""
    with Kube(clusters(fleet)[claim.cluster]) as kube:
        kube.verify_identity()
        for holder in (claim.run, RECOVER, GUARDIAN):
            leases.release(kube, claim.lease.ref, holder)


def withdraw(fleet: Fleet, role: Role) -> None:
    """Delete the ClusterRole, and with it all that it owns. Raises KubeError."""
    with Kube(clusters(fleet)[role.cluster]) as kube:
        kube.verify_identity()
        discard(kube, role.ref)


def _changed(fleet: Fleet, claim: Claim) -> bool:
    try:
        with Kube(clusters(fleet)[claim.cluster]) as kube:
            found = leases.find(kube, claim.lease.ref)
    except FleetError:
        return False
    return found is not None and found.mark != claim.lease.mark
