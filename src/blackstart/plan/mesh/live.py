"""Reads the configuration of a mesh from the clusters of a fleet; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet
from blackstart.plan.clusterlive import live_resource, served
from blackstart.plan.mesh.check import Source
from blackstart.plan.mesh.model import ISTIO, MeshConfig, Said
from blackstart.plan.resources import ClusterConfig, Resource

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
            resources = [f"{ISTIO}/{version}/{plural}" for version in _VERSIONS]
            yield from (live_resource(name, kind, item) for item in served(kube, resources))
        for kind, resource in _OTHERS.items():
            yield from (live_resource(name, kind, item) for item in kube.select(resource, ""))
