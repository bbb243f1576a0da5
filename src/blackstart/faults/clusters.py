"""The clusters that a fault touches: always named, always the pinned ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from blackstart.evidence.undo import Undo
from blackstart.faults.base import FaultError
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet


@contextmanager
def open_kube(fleet: Fleet, region: str) -> Iterator[Kube]:
    """The API of a region's cluster, after its identity was checked. Raises KubeError, WrongCluster."""
    with Kube(fleet.regions[region].cluster) as kube:
        kube.verify_identity()
        yield kube


def verify(fleet: Fleet, regions: Iterable[str]) -> dict[str, str]:
    """Check the identity of each region's cluster; returns the UIDs. Raises KubeError, WrongCluster."""
    for region in regions:
        with open_kube(fleet, region):
            pass
    return {region: fleet.regions[region].cluster.uid for region in regions}


def same_fleet(fleet: Fleet, undo: Undo) -> None:
    """Raise FaultError when fleet.yaml no longer means the clusters that the fault touched."""
    for region, uid in undo.clusters.items():
        pinned = fleet.regions[region].cluster.uid if region in fleet.regions else None
        if pinned != uid:
            raise FaultError(
                f"{undo.id}: {fleet.source or fleet.fleet} has no region {region!r} with the cluster {uid} that was "
                "touched; name the right file with --fleet; if that cluster is no more, remove the run's folder "
                "in the undo store"
            )
