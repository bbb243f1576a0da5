"""`promql` probes: a 200 from Prometheus is no proof."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from loopback import Server, black_hole, fleet, free_address, http

from blackstart.evidence.records import Reading, Reason
from blackstart.probes import read
from blackstart.probes.base import Scope
from blackstart.probes.promql import Spec

Series = list[tuple[dict[str, str], str]]


def answer(series: Series, **more: Any) -> bytes:
    result = [{"metric": labels, "value": [1.0, value]} for labels, value in series]
    return http({"status": "success", "data": {"resultType": "vector", "result": result}, **more})


def prometheus(value: bytes | None, fresh: bytes | None) -> Callable[[str], bytes | None]:
    """Answers queries for the age of samples with `fresh`, all others with `value`."""
    return lambda head: fresh if asks_for_ages(head) else value


def query(head: str) -> str:
    return parse_qs(urlsplit(head.split()[1]).query)["query"][0]


def asks_for_ages(head: str) -> bool:
    return query(head).startswith("time() - timestamp(")


FRESH = answer([({"region": "us", "pod": "a"}, "0.4"), ({"region": "us", "pod": "b"}, "9")])
VALUE = answer([({}, "3")])


def spec(**keys: Any) -> Spec:
    return Spec(probe="p", **{"query": "sum(up)", "fresh": "up", "regions": ["primary"], "deadline": 5.0, **keys})


def look(url: str, spec: Spec, labels: dict[str, str] | None = None, token: str | None = None) -> list[Reading]:
    base = fleet().model_dump()
    endpoint = {"url": url, "place": "here", "labels": {"region": "us"} if labels is None else labels}
    if token:
        endpoint["token"] = token
    base["regions"]["us"]["prometheus"] = endpoint
    whole = {**endpoint, "labels": {}}
    return asyncio.run(read(spec, Scope(fleet(regions=base["regions"], prometheus=whole))))


def one(value: bytes | None, fresh: bytes | None = FRESH, **keys: Any) -> Reading:
    with Server(prometheus(value, fresh)) as server:
        (found,) = look(server.url, spec(**keys))
    return found


def test_a_value_with_the_age_of_the_newest_sample() -> None:
    found = one(VALUE)
    assert (found.key, found.value, found.age) == ("us", 3, 0.4)


def test_a_scalar() -> None:
    assert one(http({"status": "success", "data": {"resultType": "scalar", "result": [1, "7"]}})).value == 7


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (answer([]), Reason.EMPTY),
        (answer([({}, "NaN")]), Reason.EMPTY),
        (answer([({}, "+Inf")]), Reason.MALFORMED),
        (answer([({"pod": "a"}, "1"), ({"pod": "b"}, "1")]), Reason.MALFORMED),
        (answer([({}, "3")], warnings=["store 198.18.0.12 is lost"]), Reason.PARTIAL),
        (http({"error": "bad query"}, "400 Bad Request"), Reason.MALFORMED),
        (http({}, "401 Unauthorized"), Reason.UNAUTHORISED),
        (http({}, "403 Forbidden"), Reason.UNAUTHORISED),
        (http({}, "302 Found", "Location: /elsewhere\r\n"), Reason.MALFORMED),
        (http({"error": "store lost"}, "422 Unprocessable Entity"), Reason.REFUSED),
        (http({}, "503 Service Unavailable"), Reason.REFUSED),
        (http(b"<html>"), Reason.MALFORMED),
        (http([]), Reason.MALFORMED),
        (http({"status": "success"}), Reason.MALFORMED),
        (http(b" " * (5 << 20)), Reason.MALFORMED),
        (b"", Reason.REFUSED),
        (None, Reason.TIMEOUT),
    ],
)
def test_no_data_has_a_reason(value: bytes | None, reason: Reason) -> None:
    found = one(value, deadline=0.3 if reason is Reason.TIMEOUT else 5.0)
    assert (found.value, found.no_data) == (None, reason), found.detail
    assert found.detail


@pytest.mark.parametrize(
    ("fresh", "reason"),
    [
        (answer([]), Reason.EMPTY),
        (answer([({"region": "us"}, "45.7")]), Reason.STALE),
        (answer([({"region": "us"}, "1")], warnings=["one store is lost"]), Reason.PARTIAL),
        (answer([({"region": "eu"}, "1")]), Reason.MALFORMED),
        (answer([({}, "1")]), Reason.MALFORMED),
        (answer([({"region": "us"}, "NaN")]), Reason.EMPTY),
    ],
)
def test_a_value_is_only_as_good_as_the_series_behind_it(fresh: bytes, reason: Reason) -> None:
    assert one(VALUE, fresh).no_data is reason


@pytest.mark.parametrize(
    ("query", "oldest", "value"),
    [
        ("sum(up)", "15", 3),
        ("sum(up)", "15.1", None),
        ("sum(up)", "290", None),
        ("sum($fresh)", "15.1", None),
        ("sum($fresh)", "29.9", None),
        # It is not in the value: the query left it out.
        ("sum($fresh)", "30", 3),
    ],
)
def test_what_lingers_of_before_a_crash_is_no_data_or_left_out(query: str, oldest: str, value: float | None) -> None:
    ages = answer([({"region": "us", "pod": "new"}, "0.4"), ({"region": "us", "pod": "old"}, oldest)])
    found = one(VALUE, ages, query=query, max_age=15.0)
    assert (found.value, found.no_data) == (value, None if value else Reason.STALE)
    if value is None:
        assert f"1 of 2 series behind the value are older than 15 s ({float(oldest):.1f} s)" in found.detail
        assert ("`$fresh` in the query leaves out" in found.detail) == ("$fresh" not in query)


def test_the_query_leaves_out_what_is_gone_and_a_plain_one_does_not() -> None:
    with Server(prometheus(VALUE, FRESH)) as server:
        look(server.url, spec(query="sum($fresh) / 2", fresh='up{region="$region"}'))
        asked = [query(head) for head in server.heads]
    up = 'up{region="us"}'
    assert asked[-1] == f"sum(({up} and time() - timestamp({up}) < 30)) / 2"
    assert sorted(asked[:-1]) == [f"sum({up}) / 2", f"time() - timestamp({up})"]


def test_fresh_says_region_for_the_query() -> None:
    asked = spec(at="fleet", regions=[], query="sum($fresh)", fresh='up{region="$region"}')
    both = answer([({"region": "us"}, "1"), ({"region": "eu"}, "4")])
    with Server(prometheus(VALUE, both)) as server:
        assert {reading.key for reading in look(server.url, asked)} == {"us", "eu"}


def test_what_prometheus_says_went_wrong_is_told() -> None:
    assert "store lost" in one(http({"error": "store lost"}, "422 Unprocessable Entity")).detail
    assert "is lost" in one(answer([({}, "3")], warnings=["store x is lost"])).detail


def test_nothing_is_asked_again() -> None:
    with Server(prometheus(VALUE, http({}, "503 Service Unavailable"))) as server:
        look(server.url, spec())
        assert len(server.heads) == 2  # the value, and its age


def test_nobody_there() -> None:
    (found,) = look(f"http://{free_address()}/", spec())
    assert found.no_data is Reason.REFUSED
    with black_hole() as hole:
        started = time.monotonic()
        (found,) = look(f"http://{hole}/", spec(deadline=0.3))
        assert found.no_data is Reason.TIMEOUT
        assert time.monotonic() - started < 3


def test_a_trickle_ends_at_the_deadline() -> None:
    with Server(prometheus(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", FRESH)) as server:
        (found,) = look(server.url, spec(deadline=0.5))
    assert found.no_data is Reason.TIMEOUT


def test_a_region_without_labels_is_known_by_its_prometheus() -> None:
    with Server(prometheus(VALUE, answer([({}, "1")]))) as server:
        (found,) = look(server.url, spec(), labels={})
    assert found.value == 3


def test_the_token_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROM_TOKEN", "s3cret")
    with Server(prometheus(http({}, "401 Unauthorized"), FRESH)) as server:
        (found,) = look(server.url, spec(), token="${env:PROM_TOKEN}")
        assert "Authorization: Bearer s3cret" in server.heads[0]
    assert "s3cret" not in found.model_dump_json()


def test_one_question_for_the_fleet_needs_every_region() -> None:
    both = answer([({"region": "us"}, "1"), ({"region": "eu"}, "4")])
    with Server(prometheus(VALUE, both)) as server:
        (found,) = look(server.url, spec(at="fleet", regions=[]))
        assert (found.key, found.value, found.age) == ("", 3, 4)
        server.answer = prometheus(VALUE, answer([({"region": "us"}, "1")]))
        (found,) = look(server.url, spec(at="fleet", regions=[]))
        assert found.no_data is Reason.PARTIAL
        assert "eu" in found.detail


def test_a_question_for_each_region_keeps_a_lost_one_from_spoiling_the_others() -> None:
    def thanos(head: str) -> bytes:
        if 'region="eu"' in query(head):
            return http({"error": "no store"}, "422 Unprocessable Entity")
        return FRESH if asks_for_ages(head) else VALUE

    asked = spec(at="fleet", regions=[], query='sum(up{region="$region"})', fresh='up{region="$region"}')
    with Server(thanos) as server:
        found = {r.key: (r.value, r.no_data) for r in look(server.url, asked)}
        assert all("$region" not in unquote(head) for head in server.heads)
    assert found == {"us": (3, None), "eu": (None, Reason.REFUSED)}


def test_a_region_without_prometheus() -> None:
    found = asyncio.run(read(spec(regions=["standby"]), Scope(fleet())))
    assert [r.no_data for r in found] == [Reason.MALFORMED]
    assert "'eu' has no `prometheus`" in found[0].detail
