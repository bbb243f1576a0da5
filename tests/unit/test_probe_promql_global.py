"""`promql` probes of a global view: whom it stands on must have answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from loopback import Server, fleet, http
from test_probe_promql import VALUE, Series, answer, asks_for_ages, query

from blackstart.evidence.records import Reading, Reason
from blackstart.probes import read
from blackstart.probes.base import Scope
from blackstart.probes.promql import Spec

DATE = "Date: Thu, 26 Nov 2026 01:57:12 GMT\r\n"
US, EU = "198.18.0.11:10901", "198.18.0.12:10901"
BOTH = answer([({"region": "us"}, "0.4"), ({"region": "eu"}, "0.6")])
LOST = ["failed to receive any data in 3s from Addr: 198.18.0.12:10901"]


def store(name: str, checked: str = "2026-11-26T01:57:08.904807532Z", error: str | None = None) -> dict[str, Any]:
    return {"name": name, "lastCheck": checked, "lastError": error, "labelSets": [{"region": "x"}]}


def stores(*found: dict[str, Any], headers: str = DATE) -> bytes:
    return http({"status": "success", "data": {"sidecar": list(found)} if found else {}}, headers=headers)


WHOLE = stores(store(US), store(EU))


def view(value: bytes, fresh: bytes, sources: bytes) -> Callable[[str], bytes | None]:
    """A querier or a federating Prometheus."""

    def respond(head: str) -> bytes:
        if "/api/v1/stores" in head or query(head).startswith("up{"):
            return sources
        return fresh if asks_for_ages(head) else value

    return respond


def look(respond: Callable[[str], bytes | None], at: str = "fleet", **keys: Any) -> dict[str, Reading]:
    with Server(respond) as server:
        shared = {"url": server.url, "place": "here"}
        seen = fleet(
            prometheus={**shared, "kind": "thanos", "stores": keys.pop("stores", {"us": US, "eu": EU})},
            federation={**shared, "jobs": {"us": "federate-us", "eu": "federate-eu"}},
        )
        spec = Spec(probe="p", **{"query": "sum(up)", "fresh": "up", "at": at, "deadline": 5.0, **keys})
        return {reading.key: reading for reading in asyncio.run(read(spec, Scope(seen)))}


def test_a_whole_answer_of_every_store() -> None:
    found = look(view(VALUE, BOTH, WHOLE))[""]
    assert (found.value, found.age, found.plain) == (3, 0.6, 3)


@pytest.mark.parametrize(
    ("sources", "reason", "said"),
    [
        (stores(store(US)), Reason.PARTIAL, f"the store of eu, {EU}, is not among"),
        (stores(), Reason.PARTIAL, "is not among"),
        (stores(store(US), store(EU, error="connection refused")), Reason.PARTIAL, "connection refused"),
        (stores(store(US), store(EU, checked="2026-11-26T01:57:03Z")), Reason.PARTIAL, "heard of for 9.0 s"),
        (stores(store(US), store(EU, checked="0001-01-01T00:00:00Z")), Reason.PARTIAL, "heard of for"),
        (stores(store(US), store(EU, checked="soon")), Reason.MALFORMED, "no time: 'soon'"),
        (stores(store(US), store(EU), headers=""), Reason.MALFORMED, "has no Date"),
        (http([]), Reason.MALFORMED, "not an answer"),
        (http({"status": "success", "data": {"sidecar": [{}]}}), Reason.MALFORMED, "not an answer of Thanos"),
        (http({"error": "not found"}, "404 Not Found"), Reason.MALFORMED, "not found"),
        (http({}, "503 Service Unavailable"), Reason.REFUSED, "503"),
    ],
)
def test_a_clean_answer_without_one_of_its_stores_is_none(sources: bytes, reason: Reason, said: str) -> None:
    """What Thanos makes of a store that is not strict: HTTP 200, fewer series, not one warning."""
    found = look(view(VALUE, BOTH, sources))[""]
    assert (found.value, found.no_data) == (None, reason)
    assert said in found.detail
    assert found.plain == 3


def test_what_a_plain_query_claims_is_told_beside_no_data() -> None:
    found = look(view(answer([({}, "3")], warnings=LOST), answer([({"region": "us"}, "1")], warnings=LOST), WHOLE))[
        ""
    ]
    assert (found.no_data, found.value, found.plain) == (Reason.PARTIAL, None, 3)


@pytest.mark.parametrize(
    "value", [answer([]), answer([({}, "NaN")]), answer([({}, "+Inf")]), http({}, "422 No"), b""]
)
def test_a_plain_query_without_a_number_claims_nothing(value: bytes) -> None:
    assert look(view(value, BOTH, WHOLE))[""].plain is None


def test_a_lost_store_takes_nothing_from_the_question_about_another_region() -> None:
    def respond(head: str) -> bytes:
        if "/api/v1/stores" in head:
            return stores(store(US), store(EU, error="connection refused"))
        region = "us" if 'region="us"' in query(head) else "eu"
        if region == "eu":
            return answer([], warnings=LOST)
        return answer([({"region": region}, "0.5")]) if asks_for_ages(head) else VALUE

    found = look(respond, query='sum(up{region="$region"})', fresh='up{region="$region"}')
    assert (found["us"].value, found["eu"].no_data, found["eu"].plain) == (3, Reason.PARTIAL, None)


def test_a_thanos_whose_stores_nobody_named_tells_nothing() -> None:
    found = look(view(VALUE, BOTH, WHOLE), stores={"us": US})[""]
    assert found.no_data is Reason.MALFORMED
    assert "`stores` that answers for eu" in found.detail


def jobs(**up: str) -> bytes:
    return answer([({"__name__": "up", "job": f"federate-{region}"}, value) for region, value in up.items()])


def test_a_federation_that_gets_through_to_every_region() -> None:
    found = look(view(VALUE, BOTH, jobs(us="1", eu="1")), at="federation")[""]
    assert (found.value, found.age) == (3, 0.6)


SAID_TO_BE_US: Series = [({"job": "federate-us"}, "1"), ({"job": "federate-eu", "region": "us"}, "1")]


@pytest.mark.parametrize(
    ("sources", "reason", "said"),
    [
        (jobs(us="1", eu="0"), Reason.STALE, "eu's Prometheus does not answer job 'federate-eu'"),
        (jobs(us="1"), Reason.PARTIAL, "nobody scrapes eu's Prometheus as job 'federate-eu'"),
        (answer([]), Reason.PARTIAL, "nobody scrapes"),
        (answer(SAID_TO_BE_US), Reason.MALFORMED, "should be eu's and carries region='us'"),
        (answer([], warnings=["x"]), Reason.PARTIAL, "x"),
    ],
)
def test_federated_samples_that_linger_are_no_data(sources: bytes, reason: Reason, said: str) -> None:
    found = look(view(VALUE, BOTH, sources), at="federation")[""]
    assert (found.value, found.no_data, found.plain) == (None, reason, 3)
    assert said in found.detail


def test_federated_samples_are_as_old_as_their_source_says() -> None:
    old = answer([({"region": "us"}, "0.4"), ({"region": "eu"}, "45.7")])
    found = look(view(VALUE, old, jobs(us="1", eu="1")), at="federation")[""]
    assert (found.no_data, found.plain) == (Reason.STALE, 3)


def test_labels_that_the_scrape_overwrote_are_no_ones() -> None:
    """honor_labels: false, and a target that is labelled with a region: eu's series are told as us's."""
    taken = answer(
        [({"region": "us", "exported_region": "us"}, "1"), ({"region": "us", "exported_region": "eu"}, "1")]
    )
    found = look(view(VALUE, taken, jobs(us="1", eu="1")), at="federation", regions=["primary"])[""]
    assert found.no_data is Reason.MALFORMED
    assert "honor_labels: true" in found.detail


def test_a_fleet_without_a_federation() -> None:
    spec = Spec(probe="p", query="sum(up)", fresh="up", at="federation")
    (found,) = asyncio.run(read(spec, Scope(fleet())))
    assert found.no_data is Reason.MALFORMED
    assert "no `federation` in fleet.yaml" in found.detail


def test_the_value_is_asked_after_what_it_counts_for() -> None:
    """A source that comes back in between must not lend its freshness to a value made without it."""
    asked: list[str] = []

    def respond(head: str) -> bytes:
        if "/api/v1/stores" in head:
            return WHOLE
        asked.append("fresh" if asks_for_ages(head) else "value")
        # The first value is of before: it came before the samples did.
        return (
            BOTH if asked[-1] == "fresh" else answer([({}, "6" if "fresh" in asked[:-1] and len(asked) > 2 else "3")])
        )

    found = look(respond)[""]
    assert sorted(asked[:2]) == ["fresh", "value"]
    assert (asked[2], found.value) == ("value", 6)
