"""Reads objects out of a live cluster for lint; changes nothing."""

from __future__ import annotations

from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.objects import Object
from blackstart.plan.resources import Resource
from blackstart.schema.errors import Place
from blackstart.schema.manifests import Manifest


def served(kube: Kube, resources: list[str]) -> list[Object]:
    """The objects of the first of these resources that is served; none where the kind is not installed.

    Raises KubeError when the cluster does not tell.
    """
    for resource in resources:
        try:
            return kube.select(resource, "")
        except KubeError as error:
            if error.status != 404:
                raise
    return []


def live_resource(cluster: str, kind: str, item: Object) -> Resource:
    """An object of a live cluster, whose place is `cluster/namespace/kind/name`."""
    meta = item.get("metadata", {})
    place = "/".join(part for part in (cluster, meta.get("namespace"), kind, meta.get("name")) if part)
    return Resource(kind, cluster, Manifest(item, {}, Place(place)))
