"""What observes a native lab in its fleet.yaml. Pure."""

from __future__ import annotations

from typing import Any

from blackstart.lab import ports
from blackstart.lab.observers import PROMETHEUS, SIDECAR, federation_job
from blackstart.lab.paths import LabPaths
from blackstart.lab.powerfile import power
from blackstart.lab.topology import OBSERVER, RegionNet, Topology

Node = dict[str, Any]


def prometheus_node(region: RegionNet, paths: LabPaths) -> Node:
    """A region's own, asked over the management network."""
    return {
        "url": f"http://{region.address}:{ports.PROMETHEUS}",
        "place": "operator",
        "labels": {"region": region.name},
        "scrape": "1s",
        "power": power(region.name, paths, PROMETHEUS, freezes=True),
    }


def sidecar_node(lab: Topology, region: RegionNet, paths: LabPaths) -> Node:
    """A region's sidecar, asked as the querier does."""
    host = lab.wires[f"{OBSERVER}-{region.name}"].end_of(region.name).address
    return {
        "url": f"http://{host}:{ports.SIDECAR}",
        "address": f"{host}:{ports.STORE_API}",
        "place": OBSERVER,
        "power": power(region.name, paths, SIDECAR, freezes=True),
    }


def global_node(lab: Topology) -> Node:
    """Thanos, and a Prometheus that federates. The operator asks them over the management network."""
    host = lab.observer.address
    jobs = {region.name: federation_job(region.name) for region in lab.regions}
    return {
        "prometheus": {
            "url": f"http://{host}:{ports.QUERIER}",
            "place": "operator",
            "kind": "thanos",
            "stores": lab.at(OBSERVER, ports.STORE_API),
        },
        "federation": {"url": f"http://{host}:{ports.PROMETHEUS}", "place": "operator", "scrape": "1s", "jobs": jobs},
    }
