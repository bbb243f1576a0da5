"""Hidden dependencies: who is listed, under which name; what was not counted is never nobody."""

from __future__ import annotations

from typing import Any

import pytest
from evidence_builder import FLEET, T0, Scene, adding, number, without

from blackstart.evidence.records import Addresses, Body, Crossing, End, FaultEvent, Header, Known, Line, Tried
from blackstart.judge import judge
from blackstart.report.page import html, markdown
from blackstart.schema.result import Dependencies, Dependency, Verdict

POD, OTHER_POD, NODE, EDGE, CLIENT = "198.19.1.2", "198.19.2.2", "198.18.16.1", "198.18.16.9", "198.18.16.13"
FAR_NODE = "198.18.16.2"
BOOK = Addresses(
    known=[
        Known(address=POD, name="shop/basket", region="us", kind="workload"),
        Known(address=OTHER_POD, name="shop/stock", region="eu", kind="workload"),
        Known(address=NODE, name="us", region="us", kind="node"),
        Known(address=NODE, name="node-1", region="us", kind="node"),
        Known(address=FAR_NODE, name="eu", region="eu", kind="node"),
        Known(address=EDGE, name="edge", kind="place"),
        Known(address=CLIENT, name="observer", kind="client"),
        Known(address=":30080", name="shop/stock", region="eu", kind="offer"),
        Known(address=f"{FAR_NODE}:6443", name="API server", region="eu", kind="offer"),
        Known(address="10.0.0.7", name="a/one", region="us", kind="workload"),
        Known(address="10.0.0.7", name="b/two", region="eu", kind="workload"),
    ]
)
NETWORKS = {
    **FLEET,
    "regions": {
        region: {**found, "pods": [f"198.19.{number}.0/24"]}
        for number, (region, found) in enumerate(FLEET["regions"].items(), start=1)
    },
}


def tried(source: str, destination: str, attempts: int, idle: float | None = 0.0) -> Tried:
    return Tried(source=source, destination=destination, attempts=attempts, idle=idle)


def cut(*rows: Tried, **more: Any) -> Crossing:
    return Crossing(**{"by": "nft", "place": "eu", "fault": "f1", "own": [], "tried": list(rows), **more})


def run(*crossings: Crossing, book: Addresses | None = BOOK, fleet: dict[str, Any] | None = None) -> list[Line]:
    bodies: list[tuple[float, Body]] = [(T0 + 1.0 + n, crossing) for n, crossing in enumerate(crossings)]
    return adding(Scene(fleet=fleet or NETWORKS), *([(11.0, book)] if book else []), *bodies)


def of(*crossings: Crossing, **more: Any) -> Dependencies:
    found = judge(run(*crossings, **more)).dependencies
    assert found is not None
    return found


def only(*crossings: Crossing, **more: Any) -> Dependency:
    (found,) = of(*crossings, **more).found
    return found


def test_source_destination_attempts_and_when() -> None:
    found = only(cut(tried(POD, f"{OTHER_POD}:8080", 7, idle=0.5)))
    assert (found.source, found.source_kind, found.source_region) == ("shop/basket", "workload", "us")
    assert (found.destination, found.destination_region) == ("shop/stock", "eu")
    assert (found.source_address, found.destination_address) == (POD, f"{OTHER_POD}:8080")
    assert (found.attempts, found.counted_by, found.fault, found.last_s) == (7, "nft", "f1", 0.5)


@pytest.mark.parametrize(
    ("address", "name", "region"),
    [
        (f"{FAR_NODE}:30080", "shop/stock", "eu"),
        (f"{FAR_NODE}:6443", "API server", "eu"),
        (f"{FAR_NODE}:22", "eu", "eu"),
        ("198.19.2.99:80", "198.19.2.99:80", "eu"),
        ("203.0.113.5:443", "203.0.113.5:443", None),
        # A port of nodes in eu says nothing of nodes in us.
        (f"{NODE}:30080", "us", "us"),
    ],
)
def test_a_destination_has_the_name_that_it_had_before(address: str, name: str, region: str | None) -> None:
    found = only(cut(tried(POD, address, 1)))
    assert (found.destination, found.destination_region) == (name, region)


@pytest.mark.parametrize(
    ("address", "region"), [("198.19.1.77", "us"), ("203.0.113.5", None), ("10.0.0.7", None), ("fd00::1", None)]
)
def test_an_unknown_or_doubtful_address_stays_one(address: str, region: str | None) -> None:
    found = only(cut(tried(address, f"{OTHER_POD}:80", 1)))
    assert (found.source, found.source_kind, found.source_region) == (address, "unknown", region)


def test_without_names_there_are_addresses_and_the_reason() -> None:
    told = of(cut(tried(POD, f"{OTHER_POD}:80", 1)), book=None)
    assert told.found[0].source == POD
    assert told.unnamed == ["whose addresses there were before the fault is not recorded"]
    told = of(cut(), book=Addresses(known=[], missing=["eu: cannot list v1/pods"]))
    assert told.unnamed == ["eu: cannot list v1/pods"]


def test_the_drills_own_clients_and_control_probes_are_not_dependencies() -> None:
    own = tried(NODE, f"{FAR_NODE}:30080", 40)
    told = of(cut(own, own=[own]), cut(tried(NODE, f"{FAR_NODE}:30080", 42), tried(CLIENT, f"{FAR_NODE}:30080", 9)))
    (found,) = told.found
    assert (found.source_kind, found.attempts) == ("node", 2)
    assert told.own == 49


def test_who_only_looks_like_the_control_probe_is_listed_from_the_proof_on() -> None:
    told = of(cut(own=[]), cut(tried(NODE, f"{FAR_NODE}:30080", 3), own=None))
    assert [found.attempts for found in told.found] == [3]
    assert told.not_counted == []


def test_a_proof_that_was_not_counted_is_told() -> None:
    told = of(cut(tried(NODE, f"{FAR_NODE}:30080", 40), own=None))
    assert "control probe" in told.not_counted[0]


def test_the_highest_count_stands() -> None:
    """A later look may have been begun earlier, or at a table that was made anew."""
    pair = (POD, f"{OTHER_POD}:80")
    assert only(cut(tried(*pair, 5)), cut(tried(*pair, 2)), cut(unread="gone")).attempts == 5


def test_the_place_outside_is_told_from_workloads() -> None:
    assert only(cut(tried(EDGE, f"{FAR_NODE}:30080", 5))).source_kind == "place"


def test_what_is_cut_for_one_user_alone_is_that_users() -> None:
    part = {"url": "http://127.0.0.1:1", "place": "outside"}
    mesh = {"istiod": part, "gateway": {**part, "uid": 1337}}
    regions = {**NETWORKS["regions"], "us": {**NETWORKS["regions"]["us"], "mesh": mesh}}
    found = only(cut(tried(NODE, f"{POD}:80", 5), place="outside", user=1337), fleet={**NETWORKS, "regions": regions})
    assert (found.source, found.source_kind, found.source_region) == ("gateway", "gateway", "us")


def gateway(attempts: int, **more: Any) -> Crossing:
    rows = [tried("gateway", f"{OTHER_POD}:8080", attempts, None)]
    return Crossing(**{"by": "envoy", "place": "us", "tried": rows, **more})


def test_where_nothing_is_cut_by_us_the_gateways_tell() -> None:
    told = of(gateway(3), gateway(9))
    (found,) = told.found
    assert (found.source, found.source_kind, found.source_region) == ("gateway", "gateway", "us")
    assert (found.destination, found.attempts, found.counted_by) == ("shop/stock", 9, "envoy")
    assert told.counted == ["the gateway of us, by Envoy"]
    # Others than gateways may have tried: nobody knows.
    assert "nobody but gateways" in told.not_counted[0]


def test_what_the_cut_has_counted_is_not_counted_twice() -> None:
    told = of(cut(tried(NODE, f"{OTHER_POD}:8080", 12)), gateway(9))
    (found,) = told.found
    assert (found.attempts, found.counted_by) == (12, "nft")
    assert "9 failed connections" in found.detail


def test_not_counted_is_never_nobody() -> None:
    for lines, why in (
        (run(), "no counter of it was read (only a cut by blackstart itself counts), and no gateway"),
        (run(cut(unread="nft: exit 1")), "nft: exit 1"),
        (run(gateway(0, tried=[], unread="refused")), "the gateway of us: refused"),
        (without(run(cut()), lambda body: isinstance(body, FaultEvent) and body.t0 is not None), "never proven"),
    ):
        result = judge(lines)
        assert result.dependencies is not None
        assert result.dependencies.found == []
        assert result.dependencies.counted == []
        assert any(why in said for said in result.dependencies.not_counted)
        assert "Not counted." in html(result, lines)
        assert "Nobody tried" not in html(result, lines) + markdown(result, lines)


def test_nobody_is_said_where_it_was_counted() -> None:
    lines = run(cut())
    assert "Nobody tried, where it was counted." in html(judge(lines), lines)
    assert "Nobody tried, where it was counted" in markdown(judge(lines), lines)


def test_a_run_that_broke_nothing_has_none() -> None:
    lines = number([b for b in Scene().bodies() if isinstance(b[1], Header)] + [(1.0, End(how="refused"))])
    found = judge(lines).dependencies
    assert found is not None
    assert found.not_counted == ["nothing was broken"]


def test_findings_change_no_verdict() -> None:
    crowd = [tried(f"198.19.1.{n}", f"{OTHER_POD}:80", n) for n in range(1, 120)]
    with_, without_ = judge(run(cut(*crowd))), judge(run())
    assert with_.verdict is without_.verdict is Verdict.PASS
    assert (with_.score, with_.reasons, with_.sentence) == (without_.score, without_.reasons, without_.sentence)
    text = html(with_, run(cut(*crowd)))
    assert "69 more are in result.json" in text


def test_rows_that_were_left_out_are_told() -> None:
    assert any("12 more pairs" in said for said in of(cut(left_out=12)).not_counted)


def test_names_from_outside_are_only_text() -> None:
    evil = "<script>alert(1)</script>|`"
    book = Addresses(known=[Known(address=POD, name=evil, region="us", kind="workload")], missing=[evil])
    lines = run(cut(tried(POD, f"{OTHER_POD}:80", 1)), cut(place="us", unread=evil), book=book)
    result = judge(lines)
    assert "<script" not in html(result, lines)
    assert "<script" not in markdown(result, lines).replace("\\<", "")
