"""The stores of a native lab in its fleet.yaml. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blackstart.lab import logins
from blackstart.lab.data import ADMIN, PORT_OF, READER, REPLICATION, STORE_OF, Kind, Site
from blackstart.lab.manifests import NAMESPACE, STORES
from blackstart.lab.paths import LabPaths
from blackstart.lab.powerfile import power
from blackstart.lab.topology import Topology

Node = dict[str, Any]

_RECORDS: dict[Kind, Node] = {
    "mariadb": {
        "orders": {"ids": "SELECT request_id FROM shop.orders WHERE request_id LIKE %s ORDER BY n", "ordered": True},
        "events": {"ids": "SELECT id FROM shop.events WHERE id LIKE %s ORDER BY position", "ordered": True},
    },
    "redis": {"orders": {"ids": "order:*"}},
}
_ACTIVE_RECORDS: Node = {
    "orders": {
        "ids": "SELECT request_id, n, placed FROM shop.orders WHERE request_id LIKE %s ORDER BY n",
        "ordered": True,
    },
    "events": {
        "ids": "SELECT id, position, appended FROM shop.events WHERE id LIKE %s ORDER BY position",
        "ordered": True,
    },
}


def stores_node(lab: Topology, paths: LabPaths, sites: Mapping[str, Site]) -> Node:
    """The operator asks over the management network, which no cut of a link takes away; clients come over links.

    A cache that each region has for itself is no store of the fleet.
    """
    return {
        name: _store(kind, lab, paths, sites)
        for kind, name in STORE_OF.items()
        if any(kind in site.replicates for site in sites.values())
    }


def _store(kind: Kind, lab: Topology, paths: LabPaths, sites: Mapping[str, Site]) -> Node:
    port = PORT_OF[kind]

    def login(user: str) -> Node:
        return {"user": user, "password": f"${{file:{logins.file(paths, kind, user)}}}"}

    def member(site: Site) -> Node:
        own = lab.region(site.region).address
        return {
            "address": f"{own}:{port}",
            "place": "operator",
            "serves": f"{site.address}:{port}",
            "power": power(site.region, paths, kind),
        }

    active = any(site.multi_active for site in sites.values())
    return {
        "kind": kind,
        "members": {region: member(site) for region, site in sites.items()},
        "primary": next(region for region, site in sites.items() if site.primary),
        **({"pattern": "multi-active"} if active else {}),
        "reader": login(READER),
        "admin": login(ADMIN),
        "replication": login(REPLICATION),
        "clients": {"namespace": NAMESPACE, "configmap": STORES, "key": STORE_OF[kind]},
        "records": _ACTIVE_RECORDS if active else _RECORDS[kind],
    }
