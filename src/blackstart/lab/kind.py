"""The lab with kind: for people with Docker, the same regions, demo and fleet.yaml.

NOT RUN where it was written, for want of Docker: only the files that it
generates and its command lines are tested (tests/unit/test_lab_kind.py).

Each region is a kind cluster of one node; the edge, the observer and each
region's Prometheus are containers beside it. All share Docker's network
`kind`, so a link is cut by dropping, at both ends, what comes from the other
one's address. The operator uses ports that Docker publishes on this machine,
and is on no link. Root is needed, as for the native provider.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from blackstart.lab import kindfiles as files
from blackstart.lab.api import unsettled
from blackstart.lab.edge import edge_config
from blackstart.lab.fleetfile import EDGE_PORT, write_fleet
from blackstart.lab.images import oci_archive
from blackstart.lab.kindfiles import NETWORK, PREFIX, node
from blackstart.lab.manifests import IMAGE, NODE_PORT, demo
from blackstart.lab.metrics import MetricsTargets, prometheus_config
from blackstart.lab.parts import find_command, find_envoy, find_kubectl
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import LabError, run, wait_for
from blackstart.lab.silence import is_silent, silence, unsilence
from blackstart.lab.toolchain import KIND, binaries
from blackstart.lab.topology import EDGE, OBSERVER, RegionNet

READY_SECONDS = 110.0
"""How long a region may take until its pods are Ready; below the 120 s that fleet.yaml promises."""
_EDGE_ADMIN = 9901


@dataclass(frozen=True)
class Box:
    """A container: its address on the network `kind`, the pid of its first process, its state, its image's id."""

    address: str
    pid: int
    status: str
    image: str


def up(regions: list[str], state: Path) -> None:
    """Bring up the regions, in the order of preference, and write fleet.yaml. Idempotent. Raises LabError."""
    _need_docker()
    paths, app, kind = LabPaths(state.resolve()), binaries(KIND[:1])["app"], _kind()
    image = paths.root / "user-service.tar"
    oci_archive(IMAGE, app, image, ["/app"])
    for number, region in enumerate(regions, start=1):
        _cluster(kind, region, number, paths)
        run([str(kind), "load", "image-archive", str(image), "--name", PREFIX + region], timeout=120)
        objects = {"apiVersion": "v1", "kind": "List", "items": demo(region)}
        run([*_kubectl(paths, region), "apply", "--server-side", "-f", "-"], stdin=json.dumps(objects), timeout=60)
    addresses = _edge_and_observer(regions, paths)
    for region in regions:
        _observe(region, paths, app, f"{addresses[EDGE]}:{_EDGE_ADMIN}")
    for member in addresses:
        _attach(member)
    for region in regions:
        _wait_until_settled(region, paths, frozenset())
    uids = {region: _uid(region, paths) for region in regions}
    write_fleet(files.fleet_document(regions, addresses, uids, paths), paths.fleet)


def down(state: Path) -> None:
    """Remove every cluster, container, namespace and file of the lab, whole or not. Raises LabError."""
    _need_docker()
    _docker_all("unpause", status="paused", prefix=PREFIX)
    for container in run(["docker", "ps", "--all", "--quiet", "--filter", f"label={files.LABEL}"]).split():
        run(["docker", "rm", "--force", container])
    for cluster in _clusters(_kind()):
        run([str(_kind()), "delete", "cluster", "--name", cluster], timeout=120)
    for netns in Path("/run/netns").glob(f"{PREFIX}*"):
        run(["ip", "netns", "del", netns.name])
    shutil.rmtree(state, ignore_errors=True)


def kill(region: str, state: Path) -> None:
    """Take the region away: its links fall silent, all its processes but the first die, nothing starts again.

    Its container stays, paused: that keeps its address, namespace and data.
    """
    if power_state(region) == "dead":
        return
    silence(_net(region))
    _unpause(region)
    inside = ["docker", "exec", node(region)]
    stale = [f"containerd://{name}" for name in run([*inside, "crictl", "ps", "--quiet"]).split()]
    _write(_stale(region, state), json.dumps(stale))
    run([*inside, "bash", "-c", "kill -KILL -1"])
    freeze(region)


def freeze(region: str) -> None:
    """Stop every process where it stands."""
    _docker_all("pause", status="running", prefix=f"{PREFIX}{region}-")


def restore(region: str, state: Path) -> None:
    """Bring the region back from any state; returns once its pods are Ready anew. Raises LabError."""
    _unpause(region)
    unsilence(_net(region))
    file = _stale(region, state)
    stale: frozenset[str] = frozenset(json.loads(file.read_text()) if file.exists() else [])
    _wait_until_settled(region, LabPaths(state.resolve()), stale)
    file.unlink(missing_ok=True)


def power_state(region: str) -> Literal["up", "dead", "frozen"]:
    """Silent counts as dead, even where a kill or a restore broke off half-way."""
    if is_silent(_net(region)):
        return "dead"
    return "frozen" if _inspect(node(region)).status == "paused" else "up"


def _need_docker() -> None:
    try:
        run(["docker", "version", "--format", "{{.Server.Version}}"], timeout=10)
    except LabError:
        raise LabError(
            "Docker does not answer, and --provider kind needs it; "
            "--provider native does not: `blackstart lab up --provider native`"
        ) from None


def _kind() -> Path:
    return find_command("kind") or binaries(KIND)["kind"]


def _clusters(kind: Path) -> list[str]:
    return [name for name in run([str(kind), "get", "clusters"]).split() if name.startswith(PREFIX)]


def _cluster(kind: Path, region: str, number: int, paths: LabPaths) -> None:
    folder = paths.member(region)
    _write(folder / "cluster.json", json.dumps(files.cluster_config(region, number)))
    if PREFIX + region not in _clusters(kind):
        run(files.create_command(kind, region, folder), timeout=600)
    else:
        _unpause(region)
        kubeconfig = ["--kubeconfig", str(paths.kubeconfig(region))]
        run([str(kind), "export", "kubeconfig", "--name", PREFIX + region, *kubeconfig])


def _edge_and_observer(regions: list[str], paths: LabPaths) -> dict[str, str]:
    """Start them; the addresses of all members."""
    nodes = {region: _inspect(node(region)) for region in regions}
    image = nodes[regions[0]].image
    envoy = find_envoy()
    if envoy is None:
        raise LabError("envoy is not installed; see `blackstart lab doctor`")
    upstreams = [(region, box.address, NODE_PORT) for region, box in nodes.items()]
    anywhere = "0.0.0.0"  # noqa: S104 - in a namespace of its own
    config = edge_config((anywhere, EDGE_PORT), (anywhere, _EDGE_ADMIN), upstreams)
    _write(paths.root / "edge.json", json.dumps(config))
    _start(EDGE, files.edge_command(image, envoy, paths.root / "edge.json"))
    _start(OBSERVER, files.observer_command(image))
    outside = {member: _inspect(PREFIX + member).address for member in (EDGE, OBSERVER)}
    return {region: box.address for region, box in nodes.items()} | outside


def _observe(region: str, paths: LabPaths, app: Path, edge: str) -> None:
    """Start the region's Prometheus, and what finds the pods for it."""
    folder = paths.member(region)
    targets = files.targets(folder, edge)
    _write_credentials(paths.kubeconfig(region), targets)
    _write(folder / "prometheus.json", json.dumps(prometheus_config(region, targets)))
    image = _inspect(node(region)).image
    _start(f"{region}-discovery", files.discovery_container(image, region, app, targets))
    _start(f"{region}-prometheus", files.prometheus_command(region, folder))


def _write_credentials(kubeconfig: Path, targets: MetricsTargets) -> None:
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    for path, data in {
        targets.ca: cluster["certificate-authority-data"],
        targets.cert: user["client-certificate-data"],
        targets.key: user["client-key-data"],
    }.items():
        _write(path, base64.b64decode(data).decode())


def _start(name: str, argv: list[str]) -> None:
    """Run a container anew."""
    run(["docker", "rm", "--force", PREFIX + name])
    run(argv, timeout=300)  # the image may have to be pulled


def _attach(member: str) -> None:
    """Give the member's namespace a name that stays; `ip netns del` takes only the name away."""
    net = _net(member)
    if net.netns.exists():
        run(["ip", "netns", "del", net.namespace])
    container = PREFIX + member if member in (EDGE, OBSERVER) else node(member)
    run(["ip", "netns", "attach", net.namespace, str(_inspect(container).pid)])


def _net(member: str) -> RegionNet:
    """Only the name of the namespace matters: Docker gives the addresses."""
    return RegionNet(member, PREFIX + member, address="", number=0)


def _inspect(container: str) -> Box:
    found: dict[str, Any] = json.loads(run(["docker", "inspect", "--type", "container", container]))[0]
    network = found["NetworkSettings"]["Networks"].get(NETWORK, {})
    state = found["State"]
    return Box(network.get("IPAddress", ""), state["Pid"], state["Status"], found["Image"])


def _unpause(region: str) -> None:
    _docker_all("unpause", status="paused", prefix=f"{PREFIX}{region}-")


def _docker_all(verb: str, status: str, prefix: str) -> None:
    """Pause or unpause every container of that status and beginning of its name."""
    filters = ["--filter", f"status={status}", "--filter", f"name=^{prefix}"]
    for container in run(["docker", "ps", "--all", "--quiet", *filters]).split():
        run(["docker", verb, container])


def _wait_until_settled(region: str, paths: LabPaths, stale: frozenset[str]) -> None:
    def settled() -> bool | None:
        lists = [_items(paths, region, kind) for kind in ("deployments", "pods")]
        return None if None in lists or unsettled(lists[0] or [], lists[1] or [], stale) else True

    wait_for(f"region {region}: pods Ready", settled, READY_SECONDS, every=0.5)


def _items(paths: LabPaths, region: str, kind: str) -> list[dict[str, Any]] | None:
    try:
        listed = run([*_kubectl(paths, region), "get", kind, "-A", "-o", "json", "--request-timeout=3s"])
    except LabError:
        return None  # the API server does not answer yet
    items: list[dict[str, Any]] = json.loads(listed)["items"]
    return items


def _uid(region: str, paths: LabPaths) -> str:
    return run([*_kubectl(paths, region), "get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"])


def _kubectl(paths: LabPaths, region: str) -> list[str]:
    kubectl = find_kubectl()
    if kubectl is None:
        raise LabError("kubectl is not installed; see `blackstart lab doctor`")
    return [str(kubectl), f"--kubeconfig={paths.kubeconfig(region)}"]


def _stale(region: str, state: Path) -> Path:
    return state / region / "stale.json"


def _write(path: Path, text: str) -> None:
    """Readable by the owner only: some of these are keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
