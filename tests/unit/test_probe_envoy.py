"""`envoy` probes, against a server that answers like the administration of a gateway."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from loopback import Server, black_hole, fleet, free_address, http
from meshanswers import CLUSTER, HOST, HOSTS, clusters, host, mesh_fleet, stats

from blackstart.evidence.records import Reading, Reason
from blackstart.probes import envoy, read
from blackstart.probes.base import Scope
from blackstart.probes.envoy import Spec

DATE = "Date: Wed, 25 Nov 2026 19:06:45 GMT\r\n"
GROWN = {"upstream_rq_completed": 43, "zone.us-a.us-a.upstream_rq_completed": 40}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envoy, "_FIRST", 0.01)


def spec(**keys: Any) -> Spec:
    return Spec(probe="p", **{"service": "frontend", "regions": ["primary"], "deadline": 5.0, **keys})


def gateway(pages: list[Any], found: Any = None) -> Server:
    """Answers `/stats` with each of the pages in turn, the last for ever, and `/clusters` with `found`."""
    left: Iterator[Any] = iter(pages)
    last: list[Any] = []

    def answer(head: str) -> bytes:
        if head.startswith("GET /clusters?format=json "):
            return found if isinstance(found, bytes) else http(clusters() if found is None else found)
        last[:] = [next(left, *last)]
        return last[0] if isinstance(last[0], bytes) else http(last[0], headers=DATE)

    return Server(answer)


def one(page: Any = None, found: Any = None, **keys: Any) -> Reading:
    with gateway([stats() if page is None else page], found) as server:
        scope = Scope(mesh_fleet({"us": server.url}))
        (reading,) = asyncio.run(read(spec(**keys), scope))
    return reading


def grown(*pages: dict[str, Any], found: Any = None, **keys: Any) -> list[Reading]:
    """The readings of one run: a look for each page after the first."""
    with gateway([stats(**page) for page in pages], found) as server:
        scope = Scope(mesh_fleet({"us": server.url}))
        return [asyncio.run(read(spec(**keys), scope))[0] for _ in pages[1:]]


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ({}, 6),
        ({"of": "standby"}, 3),
        ({"measure": "hosts", "of": "primary"}, 3),
        ({"measure": "priority", "of": "primary"}, 0),
        ({"measure": "priority", "of": "standby"}, 1),
        ({"measure": "ejected"}, 0),
        ({"measure": "connected"}, 1),
        ({"service": None, "host": HOST, "port": 8080}, 6),
    ],
)
def test_values(keys: dict[str, Any], value: float) -> None:
    found = one(**keys)
    assert (found.key, found.value, found.no_data) == ("us", value, None), found.detail


def test_the_age_of_the_configuration_is_by_the_gateways_clock() -> None:
    assert one(measure="config_age").value == pytest.approx(4.075)


@pytest.mark.parametrize(
    "flag", ["failed_outlier_check", "failed_active_health_check", "pending_dynamic_removal", "some_new_flag"]
)
def test_eds_alone_is_not_health(flag: str) -> None:
    found = one(found=clusters([*[host("us", **{flag: True})] * 3, *[host("eu", 1)] * 3]))
    assert (found.value, found.detail) == (3, "healthy: us 0 of 3, eu 3 of 3")


@pytest.mark.parametrize("status", ["UNHEALTHY", "DEGRADED", "DRAINING", ""])
def test_what_eds_calls_sick_is_sick(status: str) -> None:
    assert one(found=clusters([host("us", eds_health_status=status), host("eu")])).value == 1


def test_both_regions_at_priority_0_and_no_hosts_at_all() -> None:
    level = clusters([host("us"), host("eu")])
    assert one(found=level, measure="priority", of="standby").value == 0
    assert one(found=clusters([host("us")]), of="standby").value == 0
    assert one(found=clusters([])).value == 0
    assert one(found=clusters([host("us")]), measure="priority", of="standby").no_data is Reason.EMPTY


def test_localities_need_not_be_called_like_regions() -> None:
    hosts = clusters([host("us-east-1"), host("eu")])
    with gateway([stats()], hosts) as server:
        fleet = mesh_fleet({"us": server.url}, locality="us-east-1")
        (found,) = asyncio.run(read(spec(of="primary"), Scope(fleet)))
    assert found.value == 1
    nowhere = one(found=clusters([host("us-east-1"), host("")]), of="primary")
    assert nowhere.no_data is Reason.MALFORMED
    assert "in: none, us-east-1; write `mesh.locality`" in nowhere.detail


@pytest.mark.parametrize("measure", ["healthy", "hosts", "priority"])
@pytest.mark.parametrize("changes", [{"control_plane__connected_state": 0}, {"control_plane__connected_state": None}])
def test_hosts_are_stale_without_istiod(measure: str, changes: dict[str, Any]) -> None:
    assert one(stats(**changes), measure=measure, of="standby").no_data is Reason.STALE


def test_hosts_that_were_never_sent_are_stale() -> None:
    assert one(stats(update_success=0)).no_data is Reason.STALE
    assert one(stats(update_success=0), measure="config_age").no_data is Reason.STALE


def test_what_the_gateway_counts_itself_needs_no_istiod() -> None:
    page = stats(control_plane__connected_state=0, outlier_detection__ejections_active=3)
    assert one(page, measure="ejected").value == 3
    assert one(page, measure="connected").value == 0


def test_without_outlier_detection_nothing_is_not_ejected() -> None:
    gone = {f"outlier_detection__ejections_{name}": None for name in ("active", "enforced_total", "overflow")}
    for measure in ("ejected", "ejections", "overflow"):
        found = one(stats(**gone), measure=measure)
        assert (found.no_data, "no outlierDetection" in found.detail) == (Reason.EMPTY, True)


@pytest.mark.parametrize(
    ("measure", "stat"),
    [
        ("ejections", "outlier_detection__ejections_enforced_total"),
        ("overflow", "outlier_detection__ejections_overflow"),
        ("panics", "lb_healthy_panic"),
        ("requests", "upstream_rq_completed"),
        ("retries", "upstream_rq_retry"),
        ("connect_failures", "upstream_cx_connect_fail"),
        ("rejected", "listener_manager__lds__update_rejected"),
    ],
)
def test_counters_are_what_they_grew(measure: str, stat: str) -> None:
    found = grown({stat: 40}, {stat: 42}, {stat: 42}, {stat: 47}, measure=measure)
    assert [reading.value for reading in found] == [2, 0, 5]


def test_the_share_of_answers_since_the_look_before() -> None:
    pages = [{}, GROWN | {"zone.us-a.eu-a.upstream_rq_completed": 3}]
    assert grown(*pages, measure="share", of="standby")[0].value == pytest.approx(0.3)
    assert grown(*pages, measure="share", of="primary")[0].value == pytest.approx(0.7)


def test_answers_of_the_gateway_itself_come_from_nowhere() -> None:
    (found,) = grown({}, GROWN, measure="share", of="standby")
    assert found.value == 0
    (found,) = grown({}, GROWN, measure="share", of="primary")
    assert found.value == pytest.approx(0.7)


def test_a_share_of_nothing_is_no_data() -> None:
    (found,) = grown({}, {}, measure="share", of="standby")
    assert (found.no_data, "a share of nothing" in found.detail) == (Reason.EMPTY, True)


def test_a_gateway_without_a_zone_has_no_shares() -> None:
    none = {"zone.us-a.us-a.upstream_rq_completed": None}
    (found,) = grown(none, none | {"upstream_rq_completed": 50}, measure="share", of="standby")
    assert (found.no_data, "has the gateway" in found.detail) == (Reason.EMPTY, True)


def test_answers_from_an_unknown_zone_are_in_no_share() -> None:
    (found,) = grown({}, GROWN, found=clusters([host("eu", 1)]), measure="share", of="standby")
    assert found.no_data is Reason.PARTIAL


@pytest.mark.parametrize("again", [{"upstream_rq_completed": 5}, {"server.uptime": 0}])
def test_a_gateway_that_began_anew_is_told_once(again: dict[str, Any]) -> None:
    found = grown({}, {}, again, again, measure="requests")
    assert [(r.value, r.no_data) for r in found] == [(0, None), (None, Reason.PARTIAL), (0, None)]


@pytest.mark.parametrize(
    ("found", "keys", "reason", "says"),
    [
        (clusters(name="outbound|80||web.prod.svc.cluster.local"), {}, Reason.EMPTY, "it has: outbound|80||web."),
        (clusters(), {"service": None, "host": HOST, "port": 80}, Reason.EMPTY, f"it has: {CLUSTER}"),
        (clusters(), {"subset": "v1"}, Reason.EMPTY, "it has"),
        (clusters(HOSTS, f"outbound|9090||{HOST}"), {}, Reason.MALFORMED, "write `port`"),
        ({}, {}, Reason.MALFORMED, "not an answer of an Envoy"),
        ([], {}, Reason.MALFORMED, "not an answer of an Envoy"),
        (clusters([{"address": {}}]), {}, Reason.MALFORMED, "health_status"),
        (clusters(["x"]), {}, Reason.MALFORMED, "not an answer of an Envoy"),  # type: ignore[list-item]  # on purpose
        (http(b"<html>"), {}, Reason.MALFORMED, "did not answer JSON"),
        (http({}, "401 Unauthorized"), {}, Reason.UNAUTHORISED, "HTTP 401"),
        (http({}, "503 Service Unavailable"), {}, Reason.REFUSED, "HTTP 503"),
        (http({}, "302 Found", "Location: /elsewhere\r\n"), {}, Reason.MALFORMED, "HTTP 302"),
        (http(b" " * (17 << 20)), {}, Reason.MALFORMED, "longer than"),
    ],
)
def test_no_data_of_clusters(found: Any, keys: dict[str, Any], reason: Reason, says: str) -> None:
    reading = one(found=found, **keys)
    assert (reading.value, reading.no_data) == (None, reason), reading.detail
    assert says in reading.detail


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ({"stats": []}, Reason.EMPTY),
        ({}, Reason.MALFORMED),
        ({"stats": [{"name": "x"}]}, Reason.MALFORMED),
        (stats(update_success="many"), Reason.MALFORMED),
        (stats(update_success=float("nan")), Reason.EMPTY),
        (http({}, "403 Forbidden"), Reason.UNAUTHORISED),
    ],
)
def test_no_data_of_statistics(page: Any, reason: Reason) -> None:
    found = one(page)
    assert (found.value, found.no_data) == (None, reason), found.detail


def test_only_what_is_read_is_asked_for() -> None:
    with gateway([stats()]) as server:
        asyncio.run(read(spec(), Scope(mesh_fleet({"us": server.url}))))
        url = server.heads[-1].split()[1]
    pattern = re.compile(parse_qs(urlsplit(url).query)["filter"][0])
    assert all(pattern.search(stat["name"]) for stat in stats()["stats"])
    assert not pattern.search(f"cluster.{CLUSTER};.upstream_rq_time")
    assert not pattern.search(f"cluster.{CLUSTER.replace('|8080|', '|9090|')};.update_success")


def test_nobody_there_and_no_answer() -> None:
    (found,) = asyncio.run(read(spec(), Scope(mesh_fleet({"us": f"http://{free_address()}"}))))
    assert found.no_data is Reason.REFUSED
    with black_hole() as hole:
        (found,) = asyncio.run(read(spec(deadline=0.3), Scope(mesh_fleet({"us": f"http://{hole}"}))))
    assert found.no_data is Reason.TIMEOUT


def test_a_region_without_a_mesh() -> None:
    (found,) = asyncio.run(read(spec(), Scope(fleet())))
    assert (found.no_data, found.detail) == (Reason.MALFORMED, "region 'us' has no `mesh` in fleet.yaml")


@pytest.mark.parametrize(
    "keys",
    [
        {"service": None},
        {"host": "a"},
        {"measure": "share"},
        {"measure": "priority"},
        {"measure": "ejected", "of": "standby"},
    ],
)
def test_specs_that_contradict_themselves(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs|is not about one region"):
        spec(**keys)
