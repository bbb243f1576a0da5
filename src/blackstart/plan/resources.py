"""Objects of clusters, as files or the clusters themselves have them, and where each of their values stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from blackstart.plan.values import mapping, text
from blackstart.schema.errors import Finding, KeyPath
from blackstart.schema.manifests import Manifest

REGION_LABEL = "topology.kubernetes.io/region"


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


@dataclass(frozen=True, eq=False)
class ClusterConfig:
    """The objects of one cluster; itself and no other, so that what is worked out of it can be kept."""

    name: str
    resources: tuple[Resource, ...]

    def of(self, *kinds: str) -> Iterator[Resource]:
        """The objects of these kinds."""
        if len(kinds) == 1:
            return iter(self._of_kind.get(kinds[0], ()))
        return (resource for resource in self.resources if resource.kind in kinds)

    @cached_property
    def _of_kind(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in self.resources:
            found.setdefault(resource.kind, []).append(resource)
        return found

    @cached_property
    def regions(self) -> set[str]:
        """What its Nodes are labelled with."""
        labels = (mapping(node.metadata.get("labels")).get(REGION_LABEL) for node in self.of("Node"))
        return {label for label in labels if isinstance(label, str)}

    @property
    def region(self) -> str:
        """The region of its Nodes; where that is not known or not one, the cluster stands for it."""
        return next(iter(self.regions)) if len(self.regions) == 1 else self.name


def counted(kinds: Mapping[str, int]) -> str:
    """`4 objects of other kinds ignored (ConfigMap 3, Secret)`; empty for none."""
    if not kinds:
        return ""
    named = Counter({kind or "no kind": count for kind, count in kinds.items()})
    shown = ", ".join(f"{kind} {count}" if count > 1 else kind for kind, count in named.most_common(5))
    more = ", ..." if len(named) > 5 else ""
    total = sum(named.values())
    return f"{total} object{'s' if total > 1 else ''} of other kinds ignored ({shown}{more})"
