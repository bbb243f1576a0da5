"""What lint knows of backups: objects of each cluster, what the caller says, what only live clusters tell. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from blackstart.plan.resources import ClusterConfig, Resource

VELERO = "velero.io"
ISTIO = "networking.istio.io"
KINDS = {
    **dict.fromkeys(
        (
            "Schedule", "Backup", "Restore", "BackupStorageLocation", "VolumeSnapshotLocation", "ServerStatusRequest",
        ),
        VELERO,
    ),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet"), "apps"),
    **dict.fromkeys(("Namespace", "Node", "Service", "ConfigMap", "PersistentVolumeClaim"), ""),
    **dict.fromkeys(("VirtualService", "DestinationRule", "ServiceEntry"), ISTIO),
    "AuthorizationPolicy": "security.istio.io",
    "NetworkPolicy": "networking.k8s.io",
    "ClusterRoleBinding": "rbac.authorization.k8s.io",
}  # fmt: skip
"""The kinds that lint reads, with their API groups."""


def is_known(api_version: str, kind: str) -> bool:
    """Whether lint reads objects of this kind; the version does not matter, the API group does."""
    return KINDS.get(kind) == (api_version.rpartition("/")[0])


@dataclass(frozen=True)
class Said:
    """What the caller says: `rpo`, seconds that the backup which is restored may be old; None: not said."""

    rpo: float | None = None


@dataclass(frozen=True)
class Live:
    """What only live clusters and their fleet tell.

    `now` in seconds since 1970; `services`: namespace -> the fleet's service
    in it; `addresses`: host name -> addresses; `networks`: cluster -> those
    of its pods; `bucket`: name of the fleet's bucket -> the region that it is
    lost with.
    """

    now: float
    services: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bucket: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BackupConfig:
    """Backups of some clusters, and what is backed up. `live` is None where all of it comes from files."""

    clusters: tuple[ClusterConfig, ...]
    said: Said = Said()
    live: Live | None = None

    def of(self, *kinds: str) -> Iterator[Resource]:
        """The objects of these kinds in all clusters."""
        return (resource for cluster in self.clusters for resource in cluster.of(*kinds))

    @cached_property
    def _named(self) -> dict[str, ClusterConfig]:
        return {cluster.name: cluster for cluster in self.clusters}

    def cluster(self, resource: Resource) -> ClusterConfig:
        """The cluster that an object is in."""
        return self._named[resource.cluster]
