"""Who tries to cross a cut is listed by name, with the very number of attempts; who does not try is not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from labdrill import run_drill

from blackstart.fleet import nft
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet, Place
from blackstart.fleet.places import addresses, open_socket

APP, NAMESPACE, PORT = "user-service", "production", 8080
BY_POD, BY_NODE = 7, 4


def test_who_tries_over_a_lost_link_is_listed(lab: Fleet, tmp_path: Path) -> None:
    here, there = pods(lab, "us"), pods(lab, "eu")
    node, offered = lab.places["us"], next(p.address for p in lab.links["us-eu"].paths if p.place == "us")

    def cross() -> None:
        place = netns_of(here[0])
        # Long enough for the kernel to send the first SYN again: that is the same attempt.
        attempt(place, f"{there[0]}:{PORT}", 1, 1.6)
        attempt(place, f"{there[0]}:{PORT}", BY_POD - 1, 0.1)
        attempt(node, offered, BY_NODE, 0.1)

    ran = run_drill("link-loss", lab.source or Path(), tmp_path / "out", during=("hold", cross))
    assert ran.code == 0, ran.output
    told = ran.result.dependencies
    assert told is not None
    seen = {(d.source_kind, d.source_address, d.destination_address): d for d in told.found}
    pod = seen.pop(("workload", here[0], f"{there[0]}:{PORT}"))
    assert (pod.source, pod.source_region) == (f"{NAMESPACE}/{APP}", "us")
    assert (pod.destination, pod.destination_region) == (f"{NAMESPACE}/{APP}", "eu")
    assert pod.attempts == BY_POD
    assert pod.last_s is not None
    by_node = next(seen.pop(key) for key in list(seen) if key[0] == "node")
    assert by_node.source_region == "us"
    assert (by_node.destination, by_node.destination_region) == (f"{NAMESPACE}/{APP}", "eu")
    assert by_node.destination_address == offered
    assert by_node.attempts == BY_NODE, "the control probe's own attempts are not among them"
    assert seen == {}, "nobody else tried"
    # A hundred a second over each path while the fault was proven.
    assert told.own > 20
    assert told.not_counted == []
    assert told.unnamed == []
    assert sorted(told.counted) == ["sever-1 (us-eu) at eu, by nft", "sever-1 (us-eu) at us, by nft"]
    report = (ran.folder / "report.html").read_text()
    assert f"{NAMESPACE}/{APP} in us" in report
    assert all(nft.tables(place) == [] for place in lab.places.values())


def test_clients_and_the_edge_are_no_workloads(lab: Fleet, tmp_path: Path) -> None:
    ran = run_drill("region-isolation", lab.source or Path(), tmp_path / "out")
    assert ran.code == 0, ran.output
    told = ran.result.dependencies
    assert told is not None
    found = {(d.source, d.source_kind): (d.destination, d.destination_region) for d in told.found}
    # The region's own Prometheus asks the edge for its figures, from the node: a dependency that is easily forgotten.
    assert found == {("edge", "place"): (f"{NAMESPACE}/{APP}", "us"), ("us", "node"): ("edge", None)}, told.found
    # The direct client alone asks twenty times a second.
    assert told.own > 100
    assert all(nft.tables(place) == [] for place in lab.places.values())


def test_without_a_cut_nobody_is_said_to_be_innocent(lab: Fleet, tmp_path: Path) -> None:
    ran = run_drill("service-failover", lab.source or Path(), tmp_path / "out")
    told = ran.result.dependencies
    assert told is not None
    assert (told.found, told.counted) == ([], [])
    assert "no counter of it was read" in told.not_counted[0]
    assert "Not counted." in (ran.folder / "report.html").read_text()


def test_counting_does_not_keep_a_cut_from_healing(lab: Fleet) -> None:
    """A table whose drops have expired holds counters only: it is no cut."""
    us, links = lab.places["us"], nft.of_links([lab.links["us-eu"]])
    nft.cut(lab, links, "t-2", 1.0)
    try:
        address = next(p.address for p in lab.links["us-eu"].paths if p.place == "eu")
        attempt(lab.places["eu"], address, 3, 0.1)
        assert [row.attempts for row in nft.tried(us, "t-2")] == [3]
        with open_socket(lab.places["eu"]) as sock:
            sock.settimeout(10.0)
            # Its SYN is sent again until the kernel has healed the cut.
            sock.connect(split(address))
        assert not nft.is_cut(us, "t-2")
        assert sum(row.attempts for row in nft.tried(us, "t-2")) in (3, 4), "what was counted outlives the cut"
    finally:
        nft.heal(lab, links, "t-2")
    with pytest.raises(nft.NftError, match="No such file"):
        nft.tried(us, "t-2")


def pods(fleet: Fleet, region: str) -> list[str]:
    """The addresses of the demo's pods."""
    with Kube(fleet.regions[region].cluster) as kube:
        return sorted(pod.ip for pod in kube.pods(NAMESPACE, {"app": APP}) if pod.ready)


def netns_of(address: str) -> Place:
    """The network namespace of a pod: that of its processes, since its file is seen by its containerd only."""
    for file in Path("/proc").glob("[0-9]*/ns/net"):
        with suppress(OSError):
            if address in addresses(place := Place(netns=file)):
                return place
    raise AssertionError(f"no pod has the address {address}")


def attempt(place: Place, address: str, times: int, patience: float) -> None:
    """Try to connect, in vain."""
    for _ in range(times):
        with open_socket(place) as sock:
            sock.settimeout(patience)
            with pytest.raises(TimeoutError):
                sock.connect(split(address))


def split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
