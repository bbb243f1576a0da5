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
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import yaml

from blackstart.fleet.model import Fleet
from blackstart.lab import kindfiles as files
from blackstart.lab import machine
from blackstart.lab.edge import edge_config
from blackstart.lab.fleetfile import EDGE_PORT, write_fleet
from blackstart.lab.images import oci_archive
from blackstart.lab.kindboxes import apply, docker_each, inspect, need_docker, uid, unpause, wait_until_settled, write
from blackstart.lab.kindfiles import PREFIX, node
from blackstart.lab.manifests import IMAGE, NODE_PORT, demo
from blackstart.lab.metrics import MetricsTargets, prometheus_config
from blackstart.lab.parts import find_command, find_envoy
from blackstart.lab.paths import LabPaths
from blackstart.lab.pyimage import guardian_image
from blackstart.lab.regionfiles import EDGE_ADMIN_PORT
from blackstart.lab.shell import LabError, run
from blackstart.lab.silence import is_silent, silence, unsilence
from blackstart.lab.toolchain import KIND, binaries
from blackstart.lab.topology import EDGE, OBSERVER, RegionNet, topology

Say = Callable[[str], None]

READY_SECONDS = 110.0
"""How long a region's pods may take until they are Ready."""


def up(regions: Sequence[str], paths: LabPaths, say: Say) -> Fleet:
    """Bring up the regions, in the order of preference, and write fleet.yaml. Idempotent.

    Raises LabError, and ValueError for impossible names.
    """
    nets = topology(regions).regions
    need_docker()
    app, kind = binaries(KIND[:1])["app"], _kind()
    with machine.lock():
        machine.refuse_used(paths)
        write(_record(paths), json.dumps({"regions": list(regions)}))
        image = paths.root / "user-service.tar"
        oci_archive(IMAGE, app, image, ["/app"])
        for net in nets:
            say(f"{net.name}: cluster")
            _cluster(kind, net, paths)
            for archive in (image, guardian_image()):
                run([str(kind), "load", "image-archive", str(archive), "--name", PREFIX + net.name], timeout=120)
            apply(net.name, paths, demo(net.name))
        say("edge, observer, Prometheus")
        addresses = _edge_and_observer(regions, paths)
        for region in regions:
            _observe(region, paths, app, f"{addresses[EDGE]}:{EDGE_ADMIN_PORT}")
        for member in addresses:
            _attach(member)
        for region in regions:
            wait_until_settled(region, paths, frozenset(), READY_SECONDS)
        uids = {region: uid(region, paths) for region in regions}
        return write_fleet(files.fleet_document(regions, addresses, uids, paths), paths.fleet)


def down(paths: LabPaths, say: Say) -> None:
    """Remove every cluster, container, namespace and file of the lab, whole or not. Raises LabError."""
    need_docker()
    kind = _kind()
    with machine.lock():
        docker_each(["unpause"], "status=paused", f"name=^/?{PREFIX}")
        docker_each(["rm", "--force"], f"label={files.LABEL}")
        for cluster in _clusters(kind):
            run([str(kind), "delete", "cluster", "--name", cluster], timeout=120)
        for netns in Path("/run/netns").glob(f"{PREFIX}*"):
            run(["ip", "netns", "del", netns.name])
        shutil.rmtree(paths.root, ignore_errors=True)
    say("nothing of the lab is left")


def kill(region: str, paths: LabPaths) -> None:
    """Take the region away: its links fall silent, all its processes but the first die, nothing starts again.

    Its container stays, paused: that keeps its address, namespace and data.
    """
    if power_state(region, paths) == "dead":
        return
    silence(_net(region))
    unpause(region)
    inside = ["docker", "exec", node(region)]
    stale = [f"containerd://{name}" for name in run([*inside, "crictl", "ps", "--quiet"]).split()]
    write(_stale(region, paths), json.dumps(stale))
    run([*inside, "bash", "-c", "kill -KILL -1"])
    freeze(region, paths)


def freeze(region: str, paths: LabPaths) -> None:
    """Stop every process where it stands."""
    _check(region, paths)
    docker_each(["pause"], "status=running", f"name=^/?{PREFIX}{region}-")


def restore(region: str, paths: LabPaths, deadline: float) -> None:
    """Bring the region back from any state; returns once its pods are Ready anew.

    Raises LabError after `deadline` seconds.
    """
    _check(region, paths)
    unpause(region)
    unsilence(_net(region))
    file = _stale(region, paths)
    stale: frozenset[str] = frozenset(json.loads(file.read_text()) if file.exists() else [])
    wait_until_settled(region, paths, stale, deadline)
    file.unlink(missing_ok=True)


def power_state(region: str, paths: LabPaths) -> Literal["up", "dead", "frozen"]:
    """Silent counts as dead, even where a kill or a restore broke off half-way."""
    _check(region, paths)
    if is_silent(_net(region)):
        return "dead"
    return "frozen" if inspect(node(region)).status == "paused" else "up"


def _check(region: str, paths: LabPaths) -> None:
    """Names become part of filters and commands, so only those of the lab go further."""
    try:
        known: list[str] = json.loads(_record(paths).read_text())["regions"]
    except FileNotFoundError:
        raise LabError(f"no kind lab in {paths.root}; see `blackstart lab up --provider kind`") from None
    if region not in known:
        raise LabError(f"no region {region!r} in this lab; known: {', '.join(known)}")


def _kind() -> Path:
    return find_command("kind") or binaries(KIND)["kind"]


def _clusters(kind: Path) -> list[str]:
    return [name for name in run([str(kind), "get", "clusters"]).split() if name.startswith(PREFIX)]


def _cluster(kind: Path, net: RegionNet, paths: LabPaths) -> None:
    region, folder = net.name, paths.member(net.name)
    write(folder / "cluster.json", json.dumps(files.cluster_config(region, net.number)))
    if PREFIX + region not in _clusters(kind):
        run(files.create_command(kind, region, folder), timeout=600)
    else:
        unpause(region)
        kubeconfig = ["--kubeconfig", str(paths.kubeconfig(region))]
        run([str(kind), "export", "kubeconfig", "--name", PREFIX + region, *kubeconfig])


def _edge_and_observer(regions: Sequence[str], paths: LabPaths) -> dict[str, str]:
    """Start them; the addresses of all members."""
    nodes = {region: inspect(node(region)) for region in regions}
    image = nodes[regions[0]].image
    envoy = find_envoy()
    if envoy is None:
        raise LabError("envoy is not installed; see `blackstart lab doctor`")
    upstreams = [(region, box.address, NODE_PORT) for region, box in nodes.items()]
    anywhere = "0.0.0.0"  # noqa: S104 - in a namespace of its own
    config = edge_config((anywhere, EDGE_PORT), (anywhere, EDGE_ADMIN_PORT), upstreams)
    write(paths.root / "edge.json", json.dumps(config))
    _start(EDGE, files.edge_command(image, envoy, paths.root / "edge.json"))
    _start(OBSERVER, files.observer_command(image))
    outside = {member: inspect(PREFIX + member).address for member in (EDGE, OBSERVER)}
    return {region: box.address for region, box in nodes.items()} | outside


def _observe(region: str, paths: LabPaths, app: Path, edge: str) -> None:
    """Start the region's Prometheus, and what finds the pods for it."""
    folder = paths.member(region)
    targets = files.targets(folder, edge)
    _write_credentials(paths.kubeconfig(region), targets)
    write(folder / "prometheus.json", json.dumps(prometheus_config(region, targets)))
    image = inspect(node(region)).image
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
        write(path, base64.b64decode(data).decode())


def _start(name: str, argv: list[str]) -> None:
    """Run a container anew."""
    docker_each(["rm", "--force"], f"name=^/?{PREFIX}{name}$")
    run(argv, timeout=300)  # the image may have to be pulled


def _attach(member: str) -> None:
    """Give the member's namespace a name that stays; `ip netns del` takes only the name away."""
    net = _net(member)
    if net.netns.exists():
        run(["ip", "netns", "del", net.namespace])
    container = PREFIX + member if member in (EDGE, OBSERVER) else node(member)
    run(["ip", "netns", "attach", net.namespace, str(inspect(container).pid)])


def _net(member: str) -> RegionNet:
    """Only the name of the namespace matters: Docker gives the addresses."""
    return RegionNet(member, PREFIX + member, address="", number=0)


def _stale(region: str, paths: LabPaths) -> Path:
    return paths.member(region) / "stale.json"


def _record(paths: LabPaths) -> Path:
    """What says that this state folder is kind's (`blackstart.lab.provider`)."""
    return paths.root / "kind.json"
