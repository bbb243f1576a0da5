"""The lab's namespaces, bridge, links and routes, by `ip`."""

from __future__ import annotations

import json
from collections.abc import Iterable

from blackstart.fleet.model import Place
from blackstart.fleet.places import inside
from blackstart.lab.shell import LabError, run
from blackstart.lab.topology import (
    BRIDGE,
    BRIDGE_ADDRESS,
    MGMT,
    NETWORK,
    PREFIX,
    Member,
    RegionNet,
    Topology,
    Wire,
)


def create(topology: Topology) -> None:
    """Make what `remove` takes away; the bridge is there already (`claim_bridge`). Raises LabError."""
    for member in topology.members:
        run(["ip", "netns", "add", member.namespace])
    _batch(None, [*_bridge_commands(), *_veth_commands(topology)])
    for member in topology.members:
        _batch(member.namespace, member_commands(topology, member))
        if isinstance(member, RegionNet):
            with inside(Place(netns=member.netns)), open("/proc/sys/net/ipv4/ip_forward", "w") as forward:
                forward.write("1")


def claim_bridge(owner: str) -> None:
    """Make the bridge, with the owner's state folder as its alias: one lab per machine."""
    run(["ip", "link", "add", BRIDGE, "type", "bridge"])
    run(["ip", "link", "set", BRIDGE, "alias", owner])


def bridge_owner() -> str | None:
    """The state folder of the lab that holds the bridge; None where there is no bridge."""
    try:
        found = json.loads(run(["ip", "-j", "link", "show", BRIDGE]))
    except LabError:
        return None
    return str(found[0].get("ifalias", ""))


def remove() -> None:
    """Take away every namespace, link and route of a lab, whole or not."""
    for namespace in namespaces():
        run(["ip", "netns", "del", namespace])
    for link in json.loads(run(["ip", "-j", "link", "show"])):
        if link["ifname"].startswith("mg-"):
            _quietly(["ip", "link", "del", link["ifname"]])
    _quietly(["ip", "link", "del", BRIDGE])
    _quietly(["ip", "route", "del", "blackhole", NETWORK, "metric", "9999"])


def remove_pod_links(region: RegionNet) -> None:
    """Remove the interfaces of pods that are dead; their own namespaces may take seconds to go."""
    for link in json.loads(run(["ip", "-n", region.namespace, "-j", "link", "show"])):
        if link["ifname"].startswith("veth"):
            _quietly(["ip", "-n", region.namespace, "link", "del", link["ifname"]])


def namespaces() -> list[str]:
    """The names of the lab's namespaces that exist."""
    found = json.loads(run(["ip", "-j", "netns", "list"]) or "[]")
    return sorted(n["name"] for n in found if n["name"].startswith(PREFIX))


def member_commands(topology: Topology, member: Member) -> list[str]:
    """What `ip -batch` does inside the namespace of `member`: addresses, then routes back to the pods that ask it."""
    commands = ["link set lo up", f"addr add {member.address}/24 dev {MGMT}", f"link set {MGMT} up"]
    routes = []
    for wire in topology.wires.values():
        names = [end.member.name for end in wire.ends]
        if member.name not in names:
            continue
        end = wire.end_of(member.name)
        commands += [f"addr add {end.address}/30 dev {end.interface}", f"link set {end.interface} up"]
        far = wire.ends[1 - names.index(member.name)]
        asked = isinstance(member, RegionNet) or member == topology.store
        if asked and isinstance(far.member, RegionNet):
            routes.append(f"route add {far.member.pods} via {far.address} dev {end.interface}")
    return commands + routes


def _bridge_commands() -> list[str]:
    return [
        f"route add blackhole {NETWORK} metric 9999",
        f"addr add {BRIDGE_ADDRESS}/24 dev {BRIDGE}",
        f"link set {BRIDGE} up",
    ]


def _veth_commands(topology: Topology) -> list[str]:
    commands = []
    for member in topology.members:
        commands += [
            f"link add {member.port} type veth peer name {MGMT} netns {member.namespace}",
            f"link set {member.port} master {BRIDGE} up",
        ]
    return commands + [_pair(wire) for wire in topology.wires.values()]


def _pair(wire: Wire) -> str:
    a, b = wire.ends
    return (
        f"link add {a.interface} netns {a.member.namespace} "
        f"type veth peer name {b.interface} netns {b.member.namespace}"
    )


def _batch(namespace: str | None, commands: Iterable[str]) -> None:
    where = ["-n", namespace] if namespace else []
    run(["ip", *where, "-batch", "-"], stdin="\n".join(commands) + "\n")


def _quietly(argv: list[str]) -> None:
    try:
        run(argv)
    except LabError:
        return  # it is not there
