"""What lint knows of a mesh: the objects of each cluster, and what the caller says of it.

The same model is made of files and of live clusters; the rules are pure
functions over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from blackstart.plan.mesh.values import mapping, text
from blackstart.schema.errors import Finding, KeyPath
from blackstart.schema.manifests import Manifest

REGION_LABEL = "topology.kubernetes.io/region"
ISTIO = "networking.istio.io"
ROUTING = ("DestinationRule", "VirtualService", "ServiceEntry")
"""What must be the same in every cluster, because each istiod reads only its own."""

KINDS = {
    **dict.fromkeys((*ROUTING, "Gateway"), ISTIO),
    "Service": "",
    "Node": "",
    "Deployment": "apps",
}
"""The kinds that lint reads, with their API groups."""

_UNSAID_RTO = 30.0


def is_known(api_version: str, kind: str) -> bool:
    """Whether lint reads objects of this kind; the version does not matter, the API group does."""
    return KINDS.get(kind) == (api_version.rpartition("/")[0])


@dataclass(frozen=True)
class Resource:
    """One object of one cluster."""

    kind: str
    cluster: str
    manifest: Manifest

    @cached_property
    def name(self) -> str:
        return text(self.metadata.get("name"))

    @cached_property
    def namespace(self) -> str:
        """Empty where a file leaves it to whoever applies it."""
        return text(self.metadata.get("namespace"))

    @cached_property
    def metadata(self) -> dict[str, Any]:
        return mapping(self.manifest.data.get("metadata"))

    @cached_property
    def spec(self) -> dict[str, Any]:
        return mapping(self.manifest.data.get("spec"))

    @property
    def where(self) -> str:
        """`us/dr.yaml:12`, or the object of a live cluster."""
        return str(self.manifest.place(()))

    def finding(self, path: KeyPath, message: str, fix: str = "") -> Finding:
        """A finding about the value at `path`, counted from the top of the object."""
        return Finding(self.manifest.place(path), path, message, fix)


@dataclass(frozen=True)
class ClusterConfig:
    """The objects of one cluster."""

    name: str
    resources: tuple[Resource, ...]

    def of(self, *kinds: str) -> Iterator[Resource]:
        """The objects of these kinds."""
        return (resource for resource in self.resources if resource.kind in kinds)

    @cached_property
    def regions(self) -> set[str]:
        """What its Nodes are labelled with."""
        labels = (mapping(node.metadata.get("labels")).get(REGION_LABEL) for node in self.of("Node"))
        return {label for label in labels if isinstance(label, str)}

    @property
    def region(self) -> str:
        """The region of its Nodes; where that is not known or not one, the cluster stands for it."""
        return next(iter(self.regions)) if len(self.regions) == 1 else self.name


@dataclass(frozen=True)
class Said:
    """What the caller says: the regions' names, replicas of every service by region, and the RTO in seconds."""

    regions: tuple[str, ...] = ()
    replicas: Mapping[str, int] = field(default_factory=dict)
    rto: float = _UNSAID_RTO


@dataclass(frozen=True)
class MeshConfig:
    """The configuration of a mesh."""

    clusters: tuple[ClusterConfig, ...]
    said: Said = Said()

    def of(self, *kinds: str) -> Iterator[Resource]:
        """The objects of these kinds in all clusters."""
        return (resource for cluster in self.clusters for resource in cluster.of(*kinds))

    @cached_property
    def regions(self) -> list[str]:
        """The regions' names: as said, else as Nodes are labelled, else those that replicas are said of.

        Nodes of one region, or of some of the clusters, do not tell which others there are.
        """
        labelled = sorted({region for cluster in self.clusters for region in cluster.regions})
        whole = len(labelled) > 1 and all(cluster.regions for cluster in self.clusters)
        return list(self.said.regions) or (labelled if whole else sorted(self.said.replicas))
