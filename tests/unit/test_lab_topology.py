"""Addresses and links of a lab, and the fleet file made of them. Without root."""

from __future__ import annotations

import ipaddress
from itertools import combinations
from pathlib import Path

import pytest

from blackstart.fleet.model import Fleet
from blackstart.lab.fleetfile import fleet_document, write_fleet
from blackstart.lab.network import member_commands
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import LabError
from blackstart.lab.topology import NETWORK, topology

EIGHT = ["us", "eu", "as", "af", "oc", "sa", "na", "me"]


def test_regions_get_their_addresses_in_order() -> None:
    lab = topology(["us", "eu", "as"])
    assert [(r.namespace, r.address, r.pods, r.api_service) for r in lab.regions] == [
        ("bs-us", "198.18.0.11", "198.19.1.0/24", "198.18.101.1"),
        ("bs-eu", "198.18.0.12", "198.19.2.0/24", "198.18.102.1"),
        ("bs-as", "198.18.0.13", "198.19.3.0/24", "198.18.103.1"),
    ]
    assert (lab.edge.namespace, lab.observer.namespace) == ("bs-edge", "bs-obs")


def test_everyone_is_linked_to_everyone() -> None:
    assert list(topology(["us", "eu"]).wires) == [
        "us-eu",
        "edge-us",
        "edge-eu",
        "observer-us",
        "observer-eu",
        "observer-edge",
    ]
    lab = topology(EIGHT)
    assert len(lab.wires) == 8 * 7 / 2 + 8 + 8 + 1


def test_no_two_networks_overlap_and_none_leaves_the_range() -> None:
    lab = topology(EIGHT)
    networks = [ipaddress.ip_network("198.18.0.0/24")]
    networks += [ipaddress.ip_network(n) for r in lab.regions for n in (r.pods, r.services)]
    for wire in lab.wires.values():
        a, b = (ipaddress.ip_interface(f"{end.address}/30") for end in wire.ends)
        assert a.network == b.network
        assert {a.ip, b.ip} == set(a.network.hosts())
        networks.append(a.network)
    assert not [pair for pair in combinations(networks, 2) if pair[0].overlaps(pair[1])]
    assert all(n.subnet_of(ipaddress.ip_network(NETWORK)) for n in networks)


def test_interface_names_fit_the_kernel() -> None:
    lab = topology(["abcdefghij", "klmnopqrst"])
    names = [end.interface for wire in lab.wires.values() for end in wire.ends]
    assert max(map(len, [*names, *(m.port for m in lab.members)])) <= 15


@pytest.mark.parametrize(
    "regions", [[], [*EIGHT, "xx"], ["us", "us"], ["US"], ["edge"], ["observer"], ["a-b"], ["abcdefghijk"]]
)
def test_impossible_regions_are_refused(regions: list[str]) -> None:
    with pytest.raises(LabError):
        topology(regions)


def test_pods_of_another_region_are_reached_only_over_its_own_link() -> None:
    lab = topology(["us", "eu"])
    assert member_commands(lab, lab.regions[0]) == [
        "link set lo up",
        "addr add 198.18.0.11/24 dev mgmt0",
        "link set mgmt0 up",
        "addr add 198.18.16.1/30 dev to-eu",
        "link set to-eu up",
        "addr add 198.18.16.6/30 dev to-edge",
        "link set to-edge up",
        "addr add 198.18.16.14/30 dev to-observer",
        "link set to-observer up",
        "route add 198.19.2.0/24 via 198.18.16.2 dev to-eu",
    ]
    assert not [c for c in member_commands(lab, lab.edge) if c.startswith("route")]


def test_the_bucket_answers_pods_over_their_regions_link() -> None:
    lab = topology(["us", "eu"], backup=True)
    assert lab.store
    routes = [command for command in member_commands(lab, lab.store) if command.startswith("route")]
    assert routes == [
        f"route add {region.pods} via {lab.wires[f'store-{region.name}'].end_of(region.name).address} "
        f"dev {lab.wires[f'store-{region.name}'].end_of('store').interface}"
        for region in lab.regions
    ]


def fleet(regions: list[str]) -> Fleet:
    lab = topology(regions)
    document = fleet_document(lab, LabPaths(Path("/state")), {r: f"uid-{r}" for r in regions})
    return Fleet.model_validate(document)


def test_fleet_file_satisfies_the_model(tmp_path: Path) -> None:
    lab = topology(["us", "eu"])
    document = fleet_document(lab, LabPaths(tmp_path), {"us": "1", "eu": "2"})
    written = write_fleet(document, tmp_path / "fleet.yaml")
    assert written.roles == {"primary": "us", "standby": "eu", "frontend": "user-service"}
    assert list(written.links) == ["us-eu", "edge-us", "edge-eu", "observer-us", "observer-eu"]
    assert written.places["operator"].netns is None
    power = written.regions["us"].power
    assert power is not None
    assert power.kill[1:] == ["-m", "blackstart", "lab", "kill", "us", "--state", str(tmp_path)]


def test_control_paths_run_over_their_link_both_ways() -> None:
    link = fleet(["us", "eu"]).links["us-eu"]
    assert [(p.place, p.address) for p in link.paths] == [("us", "198.18.16.2:30080"), ("eu", "198.18.16.1:30080")]
    assert [(e.place, e.interface) for e in link.ends] == [("us", "to-eu"), ("eu", "to-us")]


def test_a_lab_of_one_region_has_no_standby() -> None:
    assert fleet(["us"]).roles == {"primary": "us", "frontend": "user-service"}


def test_a_fleet_of_eight_regions() -> None:
    assert list(fleet(EIGHT).regions) == EIGHT
