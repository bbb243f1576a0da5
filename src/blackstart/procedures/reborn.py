"""Whether what was restored works: its workloads are complete, its services answer by their own Service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from blackstart.faults import paths
from blackstart.faults.workloads import settled
from blackstart.fleet.headers import revealed
from blackstart.fleet.kube import PODS, Kube
from blackstart.fleet.model import ControlPath, Entry, Fleet
from blackstart.fleet.objects import Object, Ref
from blackstart.procedures.archive import Kept
from blackstart.procedures.proof import WORKLOADS, Scope, expected

SERVICES = "v1/services"
_LOOK = 1.0


@dataclass(frozen=True)
class Asked:
    """A service of the fleet in a namespace that was restored, its Deployment, and what clients ask of it."""

    service: str
    namespace: str
    deployment: str
    entry: Entry


def unready(kube: Kube, kept: Iterable[Kept], scope: Scope) -> list[str]:
    """Which restored workloads are not complete yet. Raises KubeError."""
    left = []
    for each in expected(kept, scope)[0]:
        if each.kind in WORKLOADS:
            ref = each.ref(scope.namespaces[each.namespace])
            found = kube.find(ref)
            if found is None or not settled(ref.resource, found):
                left.append(str(ref))
    return left


def asked_of(fleet: Fleet, source: str, target: str, namespaces: Mapping[str, str]) -> list[Asked]:
    """The services whose workloads are in the namespaces that are restored."""
    found = []
    for name, service in fleet.services.items():
        workload = service.workloads.get(source)
        if workload and workload.namespace in namespaces:
            entry = service.direct.get(target) or service.direct.get(source) or service.entry
            found.append(Asked(name, namespaces[workload.namespace], workload.deployment, entry))
    return found


def answer(kube: Kube, fleet: Fleet, region: str, asked: Asked) -> str | None:
    """Where a restored service answers well, asked inside its region; None while it does not. Raises KubeError."""
    place = fleet.regions[region].place
    url = urlsplit(asked.entry.url)
    get = (url.path or "/") + (f"?{url.query}" if url.query else "")
    for address in _addresses(kube, asked):
        path = ControlPath(place=place, address=address, get=get)
        found = paths.ask(fleet, path, _LOOK, revealed(asked.entry.headers))
        if found and 200 <= found.status < 300:
            return f"{asked.service} answers {found.status} at {address} (service {asked.namespace})"
    return None


def pods(kube: Kube, namespaces: Iterable[str]) -> dict[str, list[Object]]:
    """The pods of each namespace. Raises KubeError."""
    return {name: kube.select(PODS, name) for name in namespaces}


def _addresses(kube: Kube, asked: Asked) -> Iterator[str]:
    """Of the Services that select the pods of a Deployment: their own address, then any node's at their node port."""
    ref = Ref("apps/v1/deployments", asked.namespace, asked.deployment)
    deployment = kube.find(ref)
    if deployment is None:
        return
    labels = deployment["spec"]["template"]["metadata"].get("labels") or {}
    for service in kube.select(SERVICES, asked.namespace):
        spec = service.get("spec") or {}
        selector = spec.get("selector") or {}
        if not selector or any(labels.get(key) != value for key, value in selector.items()):
            continue
        ports = spec.get("ports") or []
        if spec.get("clusterIP") not in (None, "", "None"):
            yield from (f"{spec['clusterIP']}:{port['port']}" for port in ports)
        node_ports = [port["nodePort"] for port in ports if port.get("nodePort")]
        for node in _nodes(kube) if node_ports else ():
            yield from (f"{node}:{port}" for port in node_ports)


def _nodes(kube: Kube) -> list[str]:
    found = [node.get("status", {}).get("addresses") or [] for node in kube.select("v1/nodes", "")]
    return [each["address"] for addresses in found for each in addresses if each.get("type") == "InternalIP"]
