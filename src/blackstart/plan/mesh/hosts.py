"""Which host names mean the same service.

Istio completes a name without a dot with the namespace of the object that it
stands in. A file may leave that namespace open; then any fits.
"""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.mesh.model import MeshConfig
from blackstart.plan.resources import Resource
from blackstart.plan.values import texts

_OPEN = "?"
_SUFFIX = "svc.cluster.local"


def full(host: str, resource: Resource) -> str:
    """The host as Istio completes it: `users` is `users.production.svc.cluster.local`."""
    if not host or "." in host or host == "*":
        return host
    return f"{host}.{resource.namespace or _OPEN}.{_SUFFIX}"


def same(one: str, other: str) -> bool:
    """Whether two full hosts are one, as far as is known."""
    if one == other or not (_OPEN in one or _OPEN in other):
        return one == other
    pairs = zip(one.split("."), other.split("."), strict=False)
    return one.count(".") == other.count(".") and all(a == b or _OPEN in (a, b) for a, b in pairs)


def covers(pattern: str, host: str) -> bool:
    """Whether a full host, or `*.example.com`, or `*`, stands for another; either may be the wider one."""
    if not pattern.startswith("*") and not host.startswith("*"):
        return same(pattern, host)
    labels = [name.split(".")[name.startswith("*") :] for name in (pattern, host)]
    count = min(len(names) for names in labels)
    return all(same(*pair) for pair in zip(*(names[len(names) - count :] for names in labels), strict=True))


def service(resource: Resource) -> str:
    """The full host of a Service."""
    return full(resource.name, resource)


def known(mesh: MeshConfig) -> Iterator[str]:
    """The full hosts of all Services and ServiceEntries."""
    for resource in mesh.of("Service"):
        yield service(resource)
    for resource in mesh.of("ServiceEntry"):
        yield from (full(host, resource) for _, host in texts(resource.spec.get("hosts")))


def short(host: str) -> tuple[str, str]:
    """Name and namespace of a service inside a cluster; of any other host two empty texts."""
    name, _, rest = host.partition(".")
    namespace, _, suffix = rest.partition(".")
    return (name, namespace) if suffix == _SUFFIX else ("", "")


def in_namespace(resource: Resource, namespace: str) -> bool:
    """Whether an object is in a namespace, as far as is known."""
    return resource.namespace == namespace or not resource.namespace or namespace == _OPEN
