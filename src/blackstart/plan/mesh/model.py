"""What lint knows of a mesh: the objects of each cluster, and what the caller says of it.

The same model is made of files and of live clusters; the rules are pure
functions over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from blackstart.plan.resources import ClusterConfig, Resource

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
