"""Reads backups, and what is backed up, from the clusters of a fleet; changes nothing, reads no Secrets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet
from blackstart.plan.backup.check import Source
from blackstart.plan.backup.model import ISTIO, VELERO, BackupConfig, Live, Said
from blackstart.plan.backup.stores import Location
from blackstart.plan.clusterlive import live_resource, served
from blackstart.plan.resources import ClusterConfig, Resource
from blackstart.schema.errors import ContentError, Finding, Place

_DEADLINE = 3.0
KINDS = {
    "Schedule": [f"{VELERO}/v1/schedules"],
    "Backup": [f"{VELERO}/v1/backups"],
    "Restore": [f"{VELERO}/v1/restores"],
    "BackupStorageLocation": [f"{VELERO}/v1/backupstoragelocations"],
    "VolumeSnapshotLocation": [f"{VELERO}/v1/volumesnapshotlocations"],
    "ServerStatusRequest": [f"{VELERO}/v1/serverstatusrequests"],
    "Deployment": ["apps/v1/deployments"],
    "StatefulSet": ["apps/v1/statefulsets"],
    "DaemonSet": ["apps/v1/daemonsets"],
    "Namespace": ["v1/namespaces"],
    "Node": ["v1/nodes"],
    "Service": ["v1/services"],
    "ConfigMap": ["v1/configmaps"],
    "PersistentVolumeClaim": ["v1/persistentvolumeclaims"],
    "VirtualService": [f"{ISTIO}/v1/virtualservices", f"{ISTIO}/v1beta1/virtualservices"],
    "DestinationRule": [f"{ISTIO}/v1/destinationrules", f"{ISTIO}/v1beta1/destinationrules"],
    "ServiceEntry": [f"{ISTIO}/v1/serviceentries", f"{ISTIO}/v1beta1/serviceentries"],
    "AuthorizationPolicy": [
        "security.istio.io/v1/authorizationpolicies", "security.istio.io/v1beta1/authorizationpolicies",
    ],
    "NetworkPolicy": ["networking.k8s.io/v1/networkpolicies"],
    "ClusterRoleBinding": ["rbac.authorization.k8s.io/v1/clusterrolebindings"],
}  # fmt: skip
"""Where each kind is listed, newest version first."""


def read_fleet(fleet: Fleet, said: Said) -> Source:
    """The backups of a fleet, each region a cluster.

    Raises KubeError when one does not answer or is another's, ContentError
    when there is no Velero in any of them.
    """
    clusters = tuple(ClusterConfig(name, tuple(_cluster(fleet, name))) for name in fleet.regions)
    _require(fleet, clusters)
    live = Live(
        now=time.time(),
        services={
            workload.namespace: name
            for name, service in fleet.services.items()
            for workload in service.workloads.values()
        },
        addresses=_addresses(clusters),
        networks={name: tuple(region.pods) for name, region in fleet.regions.items()},
        bucket={fleet.backups.bucket: fleet.backups.region} if fleet.backups and fleet.backups.region else {},
    )
    return Source(BackupConfig(clusters, said, live), f"{len(clusters)} clusters", {})


def _require(fleet: Fleet, clusters: tuple[ClusterConfig, ...]) -> None:
    if any(True for cluster in clusters for _ in cluster.of("BackupStorageLocation", "Schedule")):
        return
    place = Place(str(fleet.source or fleet.fleet))
    text = f"none of its {len(clusters)} clusters has a Schedule or BackupStorageLocation of Velero"
    raise ContentError([Finding(place, (), text, "install Velero, or check its YAML: blackstart lint --backup FILE")])


def _cluster(fleet: Fleet, name: str) -> Iterator[Resource]:
    with Kube(fleet.regions[name].cluster) as kube:
        kube.verify_identity()
        for kind, resources in KINDS.items():
            for item in served(kube, resources):
                # Lists leave the version of their items out.
                item.setdefault("apiVersion", resources[0].rpartition("/")[0])
                yield live_resource(name, kind, item)


def _addresses(clusters: tuple[ClusterConfig, ...]) -> dict[str, tuple[str, ...]]:
    """The addresses of the stores' hosts, as far as this machine can tell within the deadline."""
    locations = (Location(one, cluster) for cluster in clusters for one in cluster.of("BackupStorageLocation"))
    found: dict[str, tuple[str, ...]] = {}

    def resolve(host: str) -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found[host] = tuple(sorted({str(answer[4][0]) for answer in answers}))

    # Nothing ends a resolver that hangs: its thread is left to itself.
    threads = [
        threading.Thread(target=resolve, args=[host], daemon=True) for host in {x.host for x in locations} - {""}
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + _DEADLINE
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(found)
