"""`http` probes, and what all probes share: deadlines, reasons, the registry."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from loopback import Server, black_hole, fleet, free_address, http

from blackstart.evidence.records import Reading, Reason
from blackstart.probes import http as http_kind
from blackstart.probes import kinds, load_probe, read
from blackstart.probes.base import ProbeSpec, Scope
from blackstart.schema.errors import ContentError


def look(spec: ProbeSpec, **changes: Any) -> list[Reading]:
    return asyncio.run(read(spec, Scope(fleet(**changes))))


def spec(url: str, **keys: Any) -> http_kind.Spec:
    return http_kind.Spec(probe="p", **{"url": url, "place": "here", "deadline": 5.0, **keys})


def _deadline(reason: Reason) -> float:
    """Short only where it will be waited out: the machine may be busy."""
    return 0.3 if reason is Reason.TIMEOUT else 5.0


def only(found: list[Reading]) -> Reading:
    assert len(found) == 1
    return found[0]


def test_status_latency_and_field() -> None:
    with Server(lambda _: http({"queue": {"depth": 3}})) as server:
        assert only(look(spec(server.url))).value == 200
        assert 0 < (only(look(spec(server.url, measure="latency"))).value or 0) < 5
        assert only(look(spec(server.url, measure="field", field="queue.depth"))).value == 3


def test_a_bad_status_is_a_status_but_no_latency() -> None:
    with Server(lambda _: http({}, "503 Service Unavailable")) as server:
        assert only(look(spec(server.url))).value == 503
        assert only(look(spec(server.url, measure="latency"))).no_data is Reason.REFUSED


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http({}, "401 Unauthorized"), Reason.UNAUTHORISED),
        (http({}, "403 Forbidden"), Reason.UNAUTHORISED),
        (http({}, "404 Not Found"), Reason.MALFORMED),
        (http({}, "504 Gateway Timeout"), Reason.TIMEOUT),
        (http(b"<html>"), Reason.MALFORMED),
        (http({"depth": None}), Reason.EMPTY),
        (http({}), Reason.EMPTY),
        (http({"depth": "deep"}), Reason.MALFORMED),
        (http(b'{"depth": NaN}'), Reason.EMPTY),
        (http(b'{"depth": 1e999}'), Reason.MALFORMED),
        (http({"depth": 1, "pad": "x" * 100_000}), Reason.MALFORMED),
        (b"", Reason.REFUSED),
        (None, Reason.TIMEOUT),
    ],
)
def test_no_data_has_a_reason(answer: bytes | None, reason: Reason) -> None:
    with Server(lambda _: answer, close=True) as server:
        found = only(look(spec(server.url, measure="field", field="depth", deadline=_deadline(reason))))
    assert (found.value, found.no_data) == (None, reason)
    assert found.detail


def test_nobody_there() -> None:
    assert only(look(spec(f"http://{free_address()}/"))).no_data is Reason.REFUSED
    with black_hole() as hole:
        started = time.monotonic()
        assert only(look(spec(f"http://{hole}/", deadline=0.3))).no_data is Reason.TIMEOUT
        assert time.monotonic() - started < 3


def test_each_region_has_its_own_deadline() -> None:
    with Server(lambda _: http({})) as server, black_hole() as hole:
        shop = fleet().services["shop"].model_dump()
        shop["direct"] = {
            "us": {"url": f"http://{hole}/", "place": "here"},
            "eu": {"url": server.url, "place": "here"},
        }
        found = look(
            http_kind.Spec(probe="p", service="frontend", entry="direct", deadline=1.0), services={"shop": shop}
        )
    assert {r.key: (r.value, r.no_data) for r in found} == {"us": (None, Reason.TIMEOUT), "eu": (200, None)}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"service": "shopp"}, "shopp"),
        ({"service": "us"}, "not a service"),
        ({"url": "http://127.0.0.1/", "place": "there"}, "not a place"),
    ],
)
def test_what_the_fleet_lacks_is_no_data(keys: dict[str, str], says: str) -> None:
    found = only(look(http_kind.Spec(probe="p", **keys)))  # type: ignore[arg-type]  # texts, all of them
    assert found.no_data is Reason.MALFORMED
    assert says in found.detail


def test_a_mistake_in_a_probe_is_a_reading_and_a_log_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(http_kind, "_look", broken)
    with caplog.at_level(logging.ERROR):
        found = only(look(spec("http://127.0.0.1/")))
    assert (found.no_data, found.detail) == (Reason.MALFORMED, "ZeroDivisionError: oops")
    assert "oops" in caplog.text


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"url": "http://a/"},
        {"url": "http://a/", "place": "here", "service": "shop"},
        {"service": "shop", "measure": "field"},
        {"service": "shop", "field": "a"},
        {"service": "shop", "measure": "field", "field": "a b"},
    ],
)
def test_specs_that_contradict_themselves(keys: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"needs|go together|not a path"):
        http_kind.Spec(probe="p", **keys)  # type: ignore[arg-type]  # texts, all of them


def test_the_kinds() -> None:
    assert set(kinds()) >= {"http", "tcp", "promql", "kubernetes", "envoy", "istiod", "chaos"}
    for kind, model in kinds().items():
        assert model.model_fields["kind"].default == kind


def test_a_probe_file(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("probe: p\nkind: http\nservice: frontend\nevery: 500ms\n")
    assert load_probe(file).every == 0.5
    for text, says in [
        ("probe: p\nkind: htpp\n", 'p.yaml:2: kind: unknown kind of probe "htpp".*did you mean "http"'),
        ("probe: p\n", "p.yaml:1.*needs a `kind`"),
        ("probe: p\nkind: http\nservice: frontend\nevery: 5\n", "p.yaml:4"),
        ("probe: p\nkind: base\n", "unknown kind"),
    ]:
        file.write_text(text)
        with pytest.raises(ContentError, match=says):
            load_probe(file)
