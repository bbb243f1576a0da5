"""Traffic that never used the mesh: a run asks the gateway whether its clients came in there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from loopback import Server, http
from meshanswers import mesh_fleet
from runkit import World, drill, parts

from blackstart.evidence.records import Check, Reason
from blackstart.fleet.model import Endpoint, Fleet
from blackstart.probes.base import NoData
from blackstart.probes.envoyadmin import connections
from blackstart.run.gateways import Count, came_in, compare, count, doors
from blackstart.run.looks import Wrong


def stats(**values: Any) -> dict[str, Any]:
    return {"stats": [{"name": n.replace("__", "."), "value": v} for n, v in values.items()] + [{"histograms": {}}]}


def asked(document: Any) -> float:
    with Server(lambda head: http(document)) as admin:
        return connections(Endpoint(url=admin.url, place="here"), 2.0)


def through(fleet: Fleet, region: str | None) -> Fleet:
    service = fleet.services["shop"] if "shop" in fleet.services else next(iter(fleet.services.values()))
    entry = service.entry.model_copy(update={"gateway": region})
    return fleet.model_copy(update={"services": {"shop": service.model_copy(update={"entry": entry})}})


def test_every_listener_counts_once_and_the_administration_never() -> None:
    found = asked(
        stats(
            listener__admin__downstream_cx_total=1000,
            listener__admin__main_thread__downstream_cx_total=1000,
            **{"listener.0.0.0.0_8088.downstream_cx_total": 40, "listener.[__]_9443.downstream_cx_total": 2},
            **{f"listener.0.0.0.0_8088.worker_{n}.downstream_cx_total": 20 for n in (0, 1, 10)},
        )
    )
    assert found == 42


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (stats(listener__admin__downstream_cx_total=9), Reason.EMPTY),
        ({"stats": []}, Reason.EMPTY),
        ({}, Reason.MALFORMED),
        ([], Reason.MALFORMED),
        (stats(listener__x__downstream_cx_total="many"), Reason.MALFORMED),
    ],
)
def test_a_gateway_that_does_not_say_is_no_data(document: Any, reason: Reason) -> None:
    with pytest.raises(NoData) as caught:
        asked(document)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("accepted", "fits"), [(0, False), (16, False), (79, False), (81, True), (160, True), (9000, True)]
)
def test_far_fewer_connections_than_clients_opened_are_wrong(accepted: float, fits: bool) -> None:
    before, now = Count(100, 10.0), Count(100 + accepted, 18.0)
    if fits:
        assert f"accepted {accepted:g} connections, the clients of shop opened about 160" in compare(
            "shop", before, now, 0.05
        )
    else:
        with pytest.raises(Wrong, match=r"does not use the mesh.*services\.shop\.entry"):
            compare("shop", before, now, 0.05)


@pytest.mark.parametrize(
    ("before", "why"), [(None, "when the baseline began"), (Count(200, 10.0), "began to count anew")]
)
def test_counts_that_say_nothing_are_unknown_never_fine(before: Count | None, why: str) -> None:
    with pytest.raises(RuntimeError, match=why):
        compare("shop", before, Count(100, 18.0), 0.05)


def looked(fleet: Fleet) -> list[Check]:
    async def both() -> list[Check]:
        at = doors(fleet, {"frontend": "shop"})
        return await came_in(at, await count(at, 5.0), 60.0, 5.0)

    return asyncio.run(both())


def test_only_a_service_that_names_a_gateway_is_asked_about() -> None:
    assert looked(through(mesh_fleet({}), None)) == []


def test_a_region_without_a_mesh_cannot_be_asked() -> None:
    (check,) = looked(through(mesh_fleet({}), "us"))
    assert (check.name, check.ok) == ("baseline/gateway/shop", False)
    assert "regions.us has no `mesh`" in check.detail


def test_a_gateway_that_hides_is_unknown() -> None:
    with Server(lambda head: b"") as admin:
        (check,) = looked(through(mesh_fleet({"us": admin.url}), "us"))
    assert check.ok is None


def test_a_gateway_that_counts_is_asked_twice() -> None:
    answers = iter([5, 6])
    with Server(lambda head: http(stats(listener__x__downstream_cx_total=next(answers)))) as admin:
        (check,) = looked(through(mesh_fleet({"us": admin.url}), "us"))
    assert check.ok, check.detail


@pytest.mark.parametrize("busy", [True, False])
def test_a_run_whose_clients_pass_the_gateway_by_is_refused(tmp_path: Path, busy: bool) -> None:
    seen = iter([Count(0, 0.0), Count(1000 if busy else 1, 1.0)])
    world = World(tmp_path)
    outcome, lines = asyncio.run(drill(tmp_path, parts(world, doors={"user-service": lambda: next(seen)})))
    assert outcome.end.how == ("complete" if busy else "refused"), outcome.end.detail
    checks = [line.body for line in lines if isinstance(line.body, Check)]
    assert [c.ok for c in checks if c.name == "baseline/gateway/user-service"] == [busy]
    assert busy or "does not use the mesh" in outcome.end.detail
