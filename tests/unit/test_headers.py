"""Headers of an entry: sent with every request that clients make there; what is secret in them is shown to nobody."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import contentkit
import pytest
import yaml
from loopback import Server, fleet, http

from blackstart.evidence.records import Reason, Samples, Stream
from blackstart.faults import paths
from blackstart.fleet import web
from blackstart.fleet.headers import revealed
from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Entry, Fleet, Place
from blackstart.probes import http as http_kind
from blackstart.probes import read
from blackstart.probes.base import Scope
from blackstart.probes.sampler import Target, sampling
from blackstart.schema.errors import ContentError
from blackstart.schema.secret import SecretError

GOOD = http({"region": "eu"})


def entry(tmp_path: Path, **headers: object) -> Entry:
    data = contentkit.changed(contentkit.FLEET, {"services.users.entry.headers": headers})
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return load_fleet(tmp_path / "fleet.yaml").services["users"].entry


def fields(head: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])]


@pytest.mark.parametrize("connection", ["fresh", "kept"])
def test_clients_send_them_with_every_request(
    connection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BS_KEY", "hunter2")
    found: list[Samples] = []
    with Server(lambda _: GOOD) as server:
        read_entry = entry(tmp_path, **{"x-region": "eu", "Host": "shop.example.com", "X-Api-Key": "${env:BS_KEY}"})
        asked = read_entry.model_copy(update={"url": server.url})
        stream = Stream(
            name="s",
            service="users",
            kind="entry",
            region=None,
            connection=connection,  # type: ignore[arg-type]
            interval=0.02,
            timeout=1.0,
        )
        with sampling([Target(stream, asked, Place())], found.append):
            time.sleep(0.2)
    assert len(server.heads) >= 2
    for head in server.heads:
        sent = fields(head)
        assert [value for name, value in sent if name.lower() == "host"] == ["shop.example.com"]
        assert ("x-region", "eu") in sent
        assert ("X-Api-Key", "hunter2") in sent


def test_every_other_look_at_an_entry_sends_them() -> None:
    entry = {"place": "here", "headers": {"x-region": "eu"}, "url": "http://127.0.0.1:1/"}
    with Server(lambda head: GOOD if "x-region: eu" in head else http({}, "503 Service Unavailable")) as server:
        entry["url"] = server.url
        shop = {"tier": 1, "entry": entry, "workloads": {"us": {"namespace": "p", "deployment": "shop"}}}
        found = fleet(services={"shop": shop})
        at = found.services["shop"].entry
        assert paths.answers(found, paths.path_of(at, "here"), headers=revealed(at.headers))
        assert not paths.answers(found, paths.path_of(at, "here"))
        for measure, value in (("status", 200.0), ("served", 1.0)):
            assert _look(found, measure, "standby") == value
        assert _look(found, "served", "primary") == 0.0


def _look(found: Fleet, measure: str, of: str) -> float | Reason | None:
    of_region = {"of": of} if measure == "served" else {}
    spec = http_kind.Spec(probe="p", service="frontend", measure=measure, deadline=5.0, **of_region)  # type: ignore[arg-type]
    (reading,) = asyncio.run(read(spec, Scope(found)))
    return reading.value if reading.no_data is None else reading.no_data


@pytest.mark.parametrize("answer", [http({"pod": "a"}), http(b"<html>"), http({"region": 7})])
def test_an_answer_that_names_no_region_was_served_by_nobody(answer: bytes) -> None:
    with Server(lambda _: answer) as server:
        shop = {
            "tier": 1,
            "entry": {"url": server.url, "place": "here"},
            "workloads": {"us": {"namespace": "p", "deployment": "shop"}},
        }
        assert _look(fleet(services={"shop": shop}), "served", "primary") is Reason.MALFORMED


@pytest.mark.parametrize(
    "keys",
    [{"measure": "served"}, {"of": "primary"}, {"measure": "served", "of": "primary", "service": None}],
)
def test_served_needs_a_service_and_a_region(keys: dict[str, str | None]) -> None:
    whole = {"url": None, "service": "frontend"} if keys.get("service", "") == "" else {"url": "u", "place": "here"}
    with pytest.raises(ValueError, match="served"):
        http_kind.Spec(probe="p", **{**whole, **{k: v for k, v in keys.items() if v}})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Authorization": "Bearer hunter2"}, r"fleet.yaml:\d+: .*Authorization carries a secret"),
        ({"x-session-cookie": "hunter2"}, "carries a secret"),
        ({"x-trace": "Bearer ${env:TOKEN}"}, "a secret does not belong in this file"),
        ({"x-region": "eu\r\nx-admin: hunter2"}, "one line of printable ASCII"),
        ({"x-region": "Köln"}, "one line of printable ASCII"),
        ({"x region": "eu"}, "'x region' is no name of a header"),
        ({"x-region:": "eu"}, "no name of a header"),
        ({"Content-Length": "3"}, "Content-Length is the client's own"),
        ({"connection": "close"}, "is the client's own"),
        ({"x-region": "eu", "X-Region": "us"}, "is there twice"),
        ({"x-region": 7}, "expected text, found 7"),
    ],
)
def test_what_cannot_be_sent_is_refused(headers: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=said) as caught:
        entry(tmp_path, **headers)
    assert "hunter2" not in str(caught.value) or "x-admin" in str(caught.value)


@pytest.mark.parametrize("name", ["X-Author", "x-region", "Host"])
def test_what_only_sounds_like_a_secret_may_be_written(name: str, tmp_path: Path) -> None:
    assert revealed(entry(tmp_path, **{name: "eu"}).headers) == ((name, "eu"),)


def test_a_secret_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = entry(tmp_path, Authorization="${env:BS_KEY}")
    with pytest.raises(SecretError, match=r"fleet.yaml:\d+: \$\{env:BS_KEY\} is not set"):
        revealed(found.headers)
    monkeypatch.setenv("BS_KEY", "hunter2")
    for shown in (
        repr(found),
        found.model_dump_json(),
        repr(web.request_of("http://h/", True, revealed(found.headers))),
    ):
        assert "hunter2" not in shown
    # As evidence has it, and is judged by later.
    assert Entry.model_validate(found.model_dump(mode="json")) == found
    monkeypatch.setenv("BS_KEY", "hunter2\r\nx-admin: yes")
    with pytest.raises(SecretError, match="one line") as caught:
        revealed(found.headers)
    assert "hunter2" not in str(caught.value)
