"""What the kind provider generates: configurations, command lines, fleet.yaml. Pure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from blackstart.lab.fleetfile import EDGE_PORT
from blackstart.lab.manifests import APP, NAMESPACE, NODE_PORT
from blackstart.lab.metrics import MetricsTargets, discovery_command
from blackstart.lab.paths import LabPaths
from blackstart.lab.pyimage import IMAGE as GUARDIAN_IMAGE
from blackstart.lab.regionfiles import EDGE_ADMIN_PORT
from blackstart.lab.topology import EDGE, OBSERVER

PREFIX = "bskind-"
"""Of clusters, containers and namespaces; not the native lab's, so that neither removes the other's."""
LABEL = "blackstart.lab"
NETWORK = "kind"
PROMETHEUS_IMAGE = "prom/prometheus:v2.53.4"

Node = dict[str, Any]
Argv = list[str]


def node(region: str) -> str:
    """The container that kind makes for a region."""
    return f"{PREFIX}{region}-control-plane"


def cluster_config(region: str, number: int) -> Node:
    """The configuration of a region's cluster; `number` (1, 2, ...) keeps its networks apart from the others'."""
    labels = {"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": f"{region}-a"}
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": PREFIX + region,
        "networking": {
            "podSubnet": f"10.{100 + number}.0.0/16",
            "serviceSubnet": f"10.{120 + number}.0.0/16",
        },
        "nodes": [{"role": "control-plane", "labels": labels}],
    }


def create_command(kind: Path, region: str, folder: Path) -> Argv:
    """The folder holds cluster.json, and gets the kubeconfig."""
    files = ["--config", str(folder / "cluster.json"), "--kubeconfig", str(folder / "kubeconfig")]
    return [str(kind), "create", "cluster", "--name", PREFIX + region, *files, "--wait", "120s"]


def _docker_run(name: str) -> Argv:
    return ["docker", "run", "--detach", "--name", PREFIX + name, "--label", LABEL]


def edge_command(image: str, envoy: Path, config: Path) -> Argv:
    """Envoy of this Python's wheel, in a container made of the node's image, which is there already."""
    mounts = ["--volume", f"{envoy}:/envoy:ro", "--volume", f"{config}:/edge.json:ro"]
    options = ["-c", "/edge.json", "--disable-hot-restart", "--concurrency", "1"]
    return [*_docker_run(EDGE), "--network", NETWORK, *mounts, "--entrypoint", "/envoy", image, *options]


def observer_command(image: str) -> Argv:
    """A container that only holds a network namespace: probes open their sockets in it."""
    return [*_docker_run(OBSERVER), "--network", NETWORK, "--entrypoint", "sleep", image, "infinity"]


def prometheus_command(region: str, folder: Path) -> Argv:
    """Prometheus in the node's namespace, where pods have addresses; root, to read the client's key."""
    where = ["--network", f"container:{node(region)}", "--volume", f"{folder}:{folder}:ro", "--user", "0"]
    config = f"--config.file={folder / 'prometheus.json'}"
    return [*_docker_run(f"{region}-prometheus"), *where, PROMETHEUS_IMAGE, config]


def discovery_container(image: str, region: str, app: Path, targets: MetricsTargets) -> Argv:
    """What finds the pods for Prometheus, beside it."""
    folder = targets.ca.parent
    mounts = ["--volume", f"{app}:/app:ro", "--volume", f"{folder}:{folder}:ro"]
    where = ["--network", f"container:{node(region)}", "--entrypoint", "/app"]
    return [*_docker_run(f"{region}-discovery"), *where, *mounts, image, *discovery_command(app, targets)[1:]]


def targets(folder: Path, edge: str) -> MetricsTargets:
    """What Prometheus sees from the node's namespace; its credentials lie in the folder."""
    return MetricsTargets(
        prometheus="127.0.0.1:9090",
        discovery="127.0.0.1:9091",
        api_server="127.0.0.1:6443",
        kubelet="127.0.0.1:10250",
        ca=folder / "ca.crt",
        cert=folder / "client.crt",
        key=folder / "client.key",
        edge=edge,
    )


def fleet_document(regions: Sequence[str], addresses: dict[str, str], uids: dict[str, str], paths: LabPaths) -> Node:
    """fleet.yaml: `addresses` of regions, edge and observer on Docker's network, `uids` of the clusters."""
    pairs = [*combinations(regions, 2), *((member, r) for member in (EDGE, OBSERVER) for r in regions)]
    standby = {"standby": regions[1]} if len(regions) > 1 else {}
    entry = {"url": f"http://{addresses[EDGE]}:{EDGE_PORT}/", "place": OBSERVER, "timeout": "1s"}
    balancer = {"url": f"http://{addresses[EDGE]}:{EDGE_ADMIN_PORT}", "place": OBSERVER}
    direct = {r: {**entry, "url": f"http://{addresses[r]}:{NODE_PORT}/"} for r in regions}
    workloads = {r: {"namespace": NAMESPACE, "deployment": APP} for r in regions}
    return {
        "fleet": "lab",
        "provider": "kind",
        "regions": {r: _region(r, addresses[r], uids[r], paths) for r in regions},
        "places": {m: {"netns": f"/run/netns/{PREFIX}{m}"} for m in addresses} | {"operator": {}},
        "links": {f"{a}-{b}": _link(a, b, addresses, regions) for a, b in pairs},
        "services": {
            APP: {"tier": 0, "entry": entry | {"balancer": balancer}, "direct": direct, "workloads": workloads}
        },
        "roles": {"primary": regions[0], **standby, "frontend": APP},
        "guardian": {"image": GUARDIAN_IMAGE},
    }


def _region(region: str, address: str, uid: str, paths: LabPaths) -> Node:
    lab = [sys.executable, "-m", "blackstart", "lab"]
    power = {verb: [*lab, verb, region, "--state", str(paths.root)] for verb in ("kill", "restore", "state")}
    return {
        "cluster": {
            "kubeconfig": str(paths.kubeconfig(region)),
            "context": f"kind-{PREFIX}{region}",
            "uid": uid,
        },
        "place": region,
        "prometheus": {
            "url": f"http://{address}:9090",
            "place": "operator",
            "labels": {"region": region},
        },
        "power": {**power, "deadline": "120s"},
    }


def _link(a: str, b: str, addresses: dict[str, str], regions: Sequence[str]) -> Node:
    # A path needs a server at its far end: only regions have one.
    paths = [
        {"place": near, "address": f"{addresses[far]}:{NODE_PORT}", "get": "/healthz"}
        for near, far in ((a, b), (b, a))
        if far in regions
    ]
    ends = [{"place": near, "sources": [addresses[far]]} for near, far in ((a, b), (b, a))]
    return {"between": [a, b], "ends": ends, "paths": paths}
