"""Reads the configuration of a mesh from the clusters of a fleet; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object
from blackstart.plan.mesh.check import Source
from blackstart.plan.mesh.model import ISTIO, ClusterConfig, MeshConfig, Resource, Said
from blackstart.schema.errors import Place
from blackstart.schema.manifests import Manifest

_ISTIO = {
    "DestinationRule": "destinationrules",
    "VirtualService": "virtualservices",
    "ServiceEntry": "serviceentries",
    "Gateway": "gateways",
}
_OTHERS = {"Service": "v1/services", "Node": "v1/nodes", "Deployment": "apps/v1/deployments"}
_VERSIONS = ("v1", "v1beta1")
"""Istio 1.22 and later serve both, earlier ones only the second."""


def read_fleet(fleet: Fleet, said: Said) -> Source:
    """The mesh of a fleet, each region a cluster. Raises KubeError when one does not answer or is another's."""
    clusters = tuple(ClusterConfig(name, tuple(_cluster(fleet, name))) for name in fleet.regions)
    return Source(MeshConfig(clusters, said), f"{len(clusters)} clusters", {})


def _cluster(fleet: Fleet, name: str) -> Iterator[Resource]:
    with Kube(fleet.regions[name].cluster) as kube:
        kube.verify_identity()
        for kind, plural in _ISTIO.items():
            yield from (_resource(name, kind, item) for item in _served(kube, plural))
        for kind, resource in _OTHERS.items():
            yield from (_resource(name, kind, item) for item in kube.select(resource, ""))


def _served(kube: Kube, plural: str) -> list[Object]:
    """The objects of a kind of Istio, in the newest version that is served; none where Istio is not installed."""
    for version in _VERSIONS:
        try:
            return kube.select(f"{ISTIO}/{version}/{plural}", "")
        except KubeError as error:
            if error.status != 404:
                raise
    return []


def _resource(cluster: str, kind: str, item: Object) -> Resource:
    meta = item.get("metadata", {})
    place = "/".join(part for part in (cluster, meta.get("namespace"), kind, meta.get("name")) if part)
    return Resource(kind, cluster, Manifest(item, {}, Place(place)))
