"""Whose addresses there are before the fault, so that whoever tries to get through it later has a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from blackstart.evidence.records import Addresses, Known
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object
from blackstart.fleet.places import addresses as addresses_of

_OVER = ("Succeeded", "Failed")


def known_addresses(fleet: Fleet) -> Addresses:
    """Ask every cluster and look into every place; what cannot be had is told, and raises nothing."""
    missing: list[str] = []
    known = [*_offers(fleet), *_places(fleet, missing)]
    for region in fleet.regions:
        known += _of_cluster(fleet, region, missing)
    return Addresses(known=list(dict.fromkeys(known)), missing=missing)


def pods_known(pods: Iterable[Object], region: str) -> Iterator[Known]:
    """Each pod with an address of its own, by its workload."""
    for pod in pods:
        status = pod.get("status", {})
        # A pod that is over may have lost its address to another; one on the host's network has the node's.
        if status.get("podIP") and status.get("phase") not in _OVER and not pod["spec"].get("hostNetwork"):
            yield Known(address=status["podIP"], name=workload_of(pod), region=region, kind="workload")


def workload_of(pod: Object) -> str:
    """`namespace/name` of what made the pod: a Deployment rather than its ReplicaSet."""
    meta = pod["metadata"]
    owner = next((o for o in meta.get("ownerReferences") or [] if o.get("controller")), None)
    name = str(owner["name"] if owner else meta["name"])
    template = (meta.get("labels") or {}).get("pod-template-hash")
    if owner and owner["kind"] == "ReplicaSet" and template:
        name = name.removesuffix(f"-{template}")
    return f"{meta['namespace']}/{name}"


def nodes_known(nodes: Iterable[Object], region: str) -> Iterator[Known]:
    """Each node, at each of its IP addresses."""
    for node in nodes:
        for address in node.get("status", {}).get("addresses") or []:
            if address["type"] in ("InternalIP", "ExternalIP"):
                yield Known(address=address["address"], name=node["metadata"]["name"], region=region, kind="node")


def services_known(services: Iterable[Object], region: str) -> Iterator[Known]:
    """What is offered outside the cluster: ports of every node, and of load balancers."""
    for service in services:
        meta, spec = service["metadata"], service["spec"]
        name = f"{meta['namespace']}/{meta['name']}"
        ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
        balancers = [found["ip"] for found in ingress if "ip" in found]
        for port in spec.get("ports") or []:
            if port.get("nodePort"):
                yield Known(address=f":{port['nodePort']}", name=name, region=region, kind="offer")
            for balancer in balancers:
                yield Known(address=f"{balancer}:{port['port']}", name=name, region=region, kind="offer")


def _of_cluster(fleet: Fleet, region: str, missing: list[str]) -> list[Known]:
    found: list[Known] = []
    readers: list[tuple[str, Any]] = [
        ("v1/pods", pods_known),
        ("v1/nodes", nodes_known),
        ("v1/services", services_known),
    ]
    try:
        with Kube(fleet.regions[region].cluster) as kube:
            for resource, known in readers:
                try:
                    found += known(kube.select(resource, ""), region)
                except KubeError as error:
                    missing.append(f"{region}: {error}")
                    if error.status is None:
                        break  # Nobody answers there: the others would take as long.
    except KubeError as error:
        missing.append(f"{region}: {error}")
    return found


def _places(fleet: Fleet, missing: list[str]) -> Iterator[Known]:
    """The addresses of each place; several names of one namespace are one place."""
    asking = {fleet.places[name].netns for name in _asking(fleet)}
    for netns, name in {place.netns: name for name, place in reversed(fleet.places.items())}.items():
        regions = [region for region, found in fleet.regions.items() if fleet.places[found.place].netns == netns]
        try:
            addresses = addresses_of(fleet.places[name])
        except OSError as error:
            missing.append(f"place {name}: {error}")
            continue
        for address in addresses:
            if netns in asking:
                yield Known(address=address, name=name, kind="client")
            elif len(regions) == 1:
                yield Known(address=address, name=name, region=regions[0], kind="node")
            else:
                yield Known(address=address, name=name, kind="place")


def _asking(fleet: Fleet) -> set[str]:
    """The places that this drill itself asks from."""
    entries = [entry.place for service in fleet.services.values() for entry in service.entries().values()]
    prometheus = [p.place for p in (fleet.prometheus, *(r.prometheus for r in fleet.regions.values())) if p]
    return {*entries, *prometheus}


def _offers(fleet: Fleet) -> Iterator[Known]:
    """What fleet.yaml itself says is at an address with a port."""
    for reader in fleet.regions.values():
        for remote, address in (reader.mesh.remotes if reader.mesh else {}).items():
            yield Known(address=address, name="API server", region=remote, kind="offer")
    for region, watched in fleet.regions.items():
        if watched.sidecar:
            yield Known(address=watched.sidecar.address, name="Thanos store", region=region, kind="offer")
    for name, store in fleet.stores.items():
        for region, member in store.members.items():
            for address in dict.fromkeys((member.address, member.client_address)):
                yield Known(address=address, name=f"store {name}", region=region, kind="offer")
    for name, service in fleet.services.items():
        for region, entry in service.direct.items():
            url = urlsplit(entry.url)
            yield Known(address=f"{url.hostname}:{url.port or 80}", name=name, region=region, kind="offer")
