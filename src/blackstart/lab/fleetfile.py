"""fleet.yaml of a native lab."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from blackstart.fleet.model import Fleet
from blackstart.lab import ports
from blackstart.lab.backupfile import backups_node, velero_node
from blackstart.lab.data import CACHE, DATABASE, Site
from blackstart.lab.manifests import APP, NAMESPACE, NODE_PORT, ORDERS, ORDERS_NODE_PORT
from blackstart.lab.mesh import GATEWAY_UID
from blackstart.lab.meshrules import GEO_HEADER, PARTNER, PARTNER_HOST
from blackstart.lab.paths import LabPaths
from blackstart.lab.powerfile import power
from blackstart.lab.pyimage import IMAGE
from blackstart.lab.regionfiles import EDGE_ADMIN_PORT
from blackstart.lab.storefile import stores_node
from blackstart.lab.topology import EDGE, OBSERVER, STORE, Member, RegionNet, Topology, Wire

EDGE_PORT = 8080
EDGE_ORDERS_PORT = 8081
THROUGH_MESH = f"{APP}-by-gateway"

Node = dict[str, Any]


def fleet_document(
    lab: Topology,
    paths: LabPaths,
    uids: dict[str, str],
    mesh: bool = False,
    sites: Mapping[str, Site] = MappingProxyType({}),
) -> Node:
    """The document; `uids` are the identities of the regions' clusters, `sites` where there are stores."""
    names = [region.name for region in lab.regions]
    places: Node = {member.name: {"netns": str(member.netns)} for member in lab.members}
    entry = lab.wires[f"{OBSERVER}-{EDGE}"].end_of(EDGE)
    service = {
        "tier": 0,
        "entry": {
            "url": f"http://{entry.address}:{EDGE_PORT}/",
            "place": OBSERVER,
            "timeout": "1s",
            "balancer": {"url": f"http://{entry.address}:{EDGE_ADMIN_PORT}", "place": OBSERVER},
        },
        "direct": {name: _direct(lab, name, NODE_PORT) for name in names},
        "workloads": {name: {"namespace": NAMESPACE, "deployment": APP} for name in names},
    }
    through = _through_mesh(lab, service) if mesh else {}
    return {
        "fleet": "lab",
        "provider": "native",
        "regions": {
            region.name: _region(region, paths, uids[region.name])
            | (_mesh(lab, region, paths) if mesh else {})
            | (velero_node(region.name, paths) if lab.store else {})
            for region in lab.regions
        },
        "places": {**places, "operator": {}},
        "links": {wire.name: _link(wire) for wire in lab.wires.values() if wire.name != f"{OBSERVER}-{EDGE}"},
        **({"stores": stores_node(lab, paths, sites)} if sites else {}),
        **(backups_node(lab.store, paths) if lab.store else {}),
        "services": {
            APP: service,
            **dict(through.values()),
            **({ORDERS: _orders(lab, list(sites))} if sites else {}),
        },
        "roles": _roles(names)
        | {role: name for role, (name, _) in through.items()}
        | ({"orders": ORDERS, "database": DATABASE, "cache": CACHE} if sites else {}),
        "guardian": {"image": IMAGE},
    }


def write_fleet(document: Node, path: Path) -> Fleet:
    """Write the document once the model accepts it."""
    fleet = Fleet.model_validate({**document, "source": path})
    path.write_text(
        "# Written by `blackstart lab up`; gone with `blackstart lab down`.\n"
        + yaml.safe_dump(document, sort_keys=False, width=200)
    )
    return fleet


def _region(region: RegionNet, paths: LabPaths, uid: str) -> Node:
    return {
        "cluster": {"kubeconfig": str(paths.kubeconfig(region.name)), "context": region.name, "uid": uid},
        "place": region.name,
        "prometheus": {
            "url": f"http://{region.address}:9090",
            "place": "operator",
            "labels": {"region": region.name},
        },
        "pods": [region.pods],
        "power": power(region.name, paths),
    }


def _mesh(lab: Topology, region: RegionNet, paths: LabPaths) -> Node:
    """Inside the region: nobody else may ask."""

    def part(name: str, port: int) -> Node:
        url = f"http://127.0.0.1:{port}"
        return {"url": url, "place": region.name, "power": power(region.name, paths, name)}

    gateway = part("gateway", ports.GATEWAY_ADMIN) | {"uid": GATEWAY_UID}
    remotes = {other.name: remote_api(lab, other.name, region.name) for other in lab.regions if other != region}
    return {"mesh": {"istiod": part("istiod", ports.ISTIOD), "gateway": gateway, "remotes": remotes}}


def remote_api(lab: Topology, region: str, reader: str) -> str:
    """The address of a region's API server over the link to another: what cuts the link cuts istiod off, too."""
    wire = next(w for w in lab.wires.values() if {end.member.name for end in w.ends} == {region, reader})
    return f"{wire.end_of(region).address}:6443"


def _through_mesh(lab: Topology, service: Node) -> dict[str, tuple[str, Node]]:
    """Role -> what clients of one region's gateway, past the edge, see: name and service."""
    names = [region.name for region in lab.regions]

    def through(region: str, **headers: str) -> Node:
        end = lab.wires[f"{OBSERVER}-{region}"].end_of(region)
        entry = {"url": f"http://{end.address}:{ports.GATEWAY}/", "place": OBSERVER, "timeout": "1s"}
        return {**service, "entry": {**entry, "gateway": region, **({"headers": headers} if headers else {})}}

    found = {"mesh": (THROUGH_MESH, through(names[0]))}
    if len(names) > 1:
        found["mesh-standby"] = (f"{THROUGH_MESH}-{names[1]}", through(names[1]))
        found["geo"] = (f"{APP}-of-{names[1]}", through(names[0], **{GEO_HEADER: names[1]}))
        found["external"] = (PARTNER, through(names[0], Host=PARTNER_HOST))
    return found


def _orders(lab: Topology, regions: list[str]) -> Node:
    base = f"http://{lab.wires[f'{OBSERVER}-{EDGE}'].end_of(EDGE).address}:{EDGE_ORDERS_PORT}/"
    return {
        "tier": 0,
        "entry": {"url": base, "place": OBSERVER, "timeout": "1s"},
        "direct": {name: _direct(lab, name, ORDERS_NODE_PORT) for name in regions},
        "workloads": {name: {"namespace": NAMESPACE, "deployment": ORDERS} for name in regions},
        "writes": {"url": f"{base}orders", "place": OBSERVER},
        "stores": [DATABASE, CACHE],
    }


def _direct(lab: Topology, region: str, port: int) -> Node:
    end = lab.wires[f"{OBSERVER}-{region}"].end_of(region)
    return {"url": f"http://{end.address}:{port}/", "place": OBSERVER, "timeout": "1s"}


def _link(wire: Wire) -> Node:
    a, b = wire.ends
    # A path needs a server at its far end: regions have one, and so has the bucket.
    paths = [
        {"place": near.member.name, "address": f"{far.address}:{port}", "get": get}
        for near, far in ((a, b), (b, a))
        for port, get in [_server_at(far.member)]
        if port
    ]
    return {
        "between": [a.member.name, b.member.name],
        "ends": [{"place": end.member.name, "interface": end.interface} for end in wire.ends],
        "paths": paths,
    }


def _server_at(member: Member) -> tuple[int, str]:
    """The port of an HTTP server, and what it can be asked; 0 where there is none."""
    if isinstance(member, RegionNet):
        return NODE_PORT, "/healthz"
    return (ports.S3, "/") if member.name == STORE else (0, "")


def _roles(names: list[str]) -> dict[str, str]:
    standby = {"standby": names[1]} if len(names) > 1 else {}
    return {"primary": names[0], **standby, "frontend": APP}
