"""Who tries to cross in a mesh: gateways, by what a cut counts of their user, and by what they tell themselves."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from labdrill import run_drill
from meshlab import settle_behind_the_gateway, status_at_the_gateway

from blackstart.fleet import nft
from blackstart.fleet.drops import to_networks
from blackstart.fleet.model import Fleet
from blackstart.run.crossings import Gateway


def test_a_gateway_that_is_cut_off_from_pods_is_named(mesh: Fleet, tmp_path: Path) -> None:
    settle_behind_the_gateway(mesh)
    ran = run_drill("endpoint-blackhole", mesh.source or Path(), tmp_path / "out")
    assert ran.code == 0, ran.output
    told = ran.result.dependencies
    assert told is not None
    by_cut = [d for d in told.found if d.counted_by == "nft"]
    assert by_cut
    assert {(d.source, d.source_region, d.destination_region) for d in by_cut} == {("gateway", "us", "us")}
    assert {d.destination for d in by_cut} == {"production/user-service"}
    assert "the gateway of us, by Envoy" in told.counted
    assert told.not_counted == []
    assert all(nft.tables(place) == [] for place in mesh.places.values())


def test_a_gateway_tells_what_it_could_not_reach_where_nothing_counts(mesh: Fleet) -> None:
    """Cuts of its user towards all pods of both regions: only those of the other one are across."""
    settle_behind_the_gateway(mesh)
    region = mesh.regions["us"]
    assert region.mesh is not None
    assert region.mesh.gateway.uid is not None
    pods = [network for found in mesh.regions.values() for network in found.pods]
    gateway, cuts = Gateway(mesh, "us"), {"us": [to_networks(pods, region.mesh.gateway.uid)]}
    assert gateway.read().tried == []
    nft.cut(mesh, cuts, "t-3", 60.0)
    try:
        ends = time.monotonic() + 40
        while not (found := gateway.read()).tried:
            assert time.monotonic() < ends, found
            with suppress(OSError):
                status_at_the_gateway(mesh)
        counted = {row.destination for row in nft.tried(mesh.places["us"], "t-3")}
    finally:
        nft.heal(mesh, cuts, "t-3")
    assert all(row.destination.startswith("198.19.2.") for row in found.tried)
    assert {row.destination for row in found.tried} <= counted
    settle_behind_the_gateway(mesh)
