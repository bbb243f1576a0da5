"""How Kubernetes objects are named: `apps/v1/deployments`, a namespace, a name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

CLUSTERED = frozenset({"v1/nodes", "v1/namespaces"})
"""What is in no namespace, of all that drills change."""


@dataclass(frozen=True)
class Ref:
    """One object. `resource` is the API and the plural: `v1/pods`, `apps/v1/deployments`.

    Without a namespace: an object of the whole cluster; as a collection, those of all namespaces.
    """

    resource: str
    namespace: str
    name: str

    @property
    def group(self) -> str:
        """`apps` for Deployments, empty for pods."""
        return self.resource.split("/")[0] if self.resource.count("/") == 2 else ""

    @property
    def plural(self) -> str:
        """`deployments`."""
        return self.resource.rpartition("/")[2]

    @property
    def collection(self) -> str:
        """The API path of all objects of this kind in the namespace."""
        version = self.resource.rpartition("/")[0]
        scope = f"namespaces/{self.namespace}/" if self.namespace else ""
        return f"/{'apis' if self.group else 'api'}/{version}/{scope}{self.plural}"

    @property
    def path(self) -> str:
        """The API path of the object."""
        return f"{self.collection}/{self.name}"

    def __str__(self) -> str:
        singular = re.sub(r"(?<=ss)es$|s$", "", re.sub(r"ies$", "y", self.plural))
        return f"{singular} {self.namespace}/{self.name}" if self.namespace else f"{singular} {self.name}"


def ref_of(manifest: Object) -> Ref:
    """What a manifest is called; for kinds whose plural is the kind with an `s`, or `ies` in place of `y`."""
    meta, kind = manifest["metadata"], manifest["kind"].lower()
    plural = f"{kind.removesuffix('y')}ies" if kind.endswith("y") else f"{kind}s"
    return Ref(f"{manifest['apiVersion']}/{plural}", meta.get("namespace", ""), meta["name"])
