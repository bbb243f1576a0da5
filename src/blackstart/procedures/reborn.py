"""Whether what was restored works: its workloads are complete, its services answer by their own Service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from blackstart.faults import paths
from blackstart.faults.clusters import open_kube
from blackstart.faults.workloads import settled
from blackstart.fleet.headers import revealed
from blackstart.fleet.kube import PODS, Kube
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.fleet.objects import Object, Ref
from blackstart.procedures.archive import Kept
from blackstart.procedures.choice import Held, namespaces_of
from blackstart.procedures.proof import WORKLOADS, Scope, expected, running
from blackstart.schema.restore import Restore

SERVICES = "v1/services"
_LOOK = 1.0


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


def answer(kube: Kube, fleet: Fleet, region: str, asked: Held) -> str | None:
    """Where a restored service answers well, asked inside its region; None while it does not.

    `asked`: with the namespace of now. Raises KubeError.
    """
    place = fleet.regions[region].place
    service = fleet.services[asked.service]
    entry = service.direct.get(region) or service.entry
    url = urlsplit(entry.url)
    get = (url.path or "/") + (f"?{url.query}" if url.query else "")
    for address in _addresses(kube, asked):
        path = ControlPath(place=place, address=address, get=get)
        found = paths.ask(fleet, path, _LOOK, revealed(entry.headers))
        if found and 200 <= found.status < 300:
            return f"{asked.service} answers {found.status} at {address} (service {asked.namespace})"
    return None


def pods(kube: Kube, namespace: str) -> list[Object]:
    """The pods of a namespace, but for those that are going. Raises KubeError."""
    return [pod for pod in kube.select(PODS, namespace) if "deletionTimestamp" not in pod["metadata"]]


def images_at_home(fleet: Fleet, wanted: Restore) -> dict[tuple[str, str], dict[str, str]]:
    """What runs in the namespaces that a step is to restore: image -> digest, by region and namespace.

    Raises FleetError, FaultError.
    """
    source = fleet.roles.get(wanted.source, wanted.source)
    with open_kube(fleet, source) as kube:
        return {
            (source, name): {image: digest for pod in pods(kube, name) for image, digest in running(pod).items()}
            for name in namespaces_of(fleet, wanted, source)
        }


def _addresses(kube: Kube, asked: Held) -> Iterator[str]:
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
