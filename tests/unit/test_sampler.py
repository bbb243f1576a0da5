"""The open-loop client: every due sample once, on time, and never twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import Server, black_hole, free_address, http

from blackstart.evidence.records import Samples, Stream
from blackstart.fleet.model import Entry, Place
from blackstart.probes.sampler import Row, Sampler, Target, batches, sampling, served_by

GOOD = http({"region": "us", "pod": "a"})


def target(url: str, connection: str = "fresh", interval: float = 0.02, timeout: float = 0.5) -> Target:
    stream = Stream(
        name="shop/entry/" + connection,
        service="shop",
        kind="entry",
        region=None,
        connection=connection,  # type: ignore[arg-type]
        interval=interval,
        timeout=timeout,
    )
    return Target(stream, Entry(url=url, place="here"), Place())


def rows(found: list[Samples]) -> list[Row]:
    """The samples in the order of their due times."""
    every = [Row(*row) for b in found for row in zip(b.due, b.latency, b.region, b.error, strict=True)]
    assert all(ok == (error is None) for b in found for ok, error in zip(b.ok, b.error, strict=True))
    return sorted(every, key=lambda row: row.due)


def sample(target: Target, seconds: float = 0.3, during: Callable[[], None] = lambda: None) -> list[Row]:
    found: list[Samples] = []
    with sampling([target], found.append):
        time.sleep(seconds / 2)
        during()
        time.sleep(seconds / 2)
    return rows(found)


def assert_every_due_sample_once(found: list[Row], interval: float = 0.02) -> None:
    steps = [(row.due - found[0].due) / interval for row in found]
    assert steps == pytest.approx(list(range(len(found))), abs=0.01)


@pytest.mark.parametrize("connection", ["fresh", "kept"])
def test_good_answers(connection: str) -> None:
    with Server(lambda _: GOOD) as server:
        found = sample(target(server.url, connection))
    assert_every_due_sample_once(found)
    assert len(found) >= 5, "a starved thread begins late; from then on every due sample is there"
    assert {(row.region, row.error) for row in found} == {("us", None)}
    assert len(server.heads) == len(found)
    assert server.connections == len(found) if connection == "fresh" else server.connections < len(found)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http({}, "503 Service Unavailable"), "503"),
        (http({"region": "us"}, "302 Found", "Location: /other\r\n"), "302"),
        (http({"pod": "a"}), "malformed"),
        (http({"region": 7}), "malformed"),
        (http([]), "malformed"),
        (http(b"<html>"), "malformed"),
        (http(b"[" * 50_000), "malformed"),
        (http({"region": "us", "pad": "x" * 100_000}), "malformed"),
        (b"SSH-2.0-x\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{", "reset"),
        (b"", "reset"),
    ],
)
def test_anything_but_a_complete_answer_is_a_failure(answer: bytes, error: str) -> None:
    with Server(lambda _: answer, close=True) as server:
        found = sample(target(server.url), 0.1)
    assert {(row.region, row.error) for row in found} == {(None, error)}
    assert all("/other" not in head for head in server.heads)


def test_chunked_answers_are_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b'8\r\n{"region\r\n8\r\n": "eu"}\r\n0\r\n\r\n'
    with Server(lambda _: head + body) as server:
        assert {row.region for row in sample(target(server.url, "kept"), 0.1)} == {"eu"}


def test_refused() -> None:
    assert {row.error for row in sample(target(f"http://{free_address()}/"), 0.1)} == {"refused"}


def test_a_name_is_resolved_and_each_of_its_addresses_tried() -> None:
    """`localhost` is often ::1 first, where nobody listens."""
    with Server(lambda _: GOOD) as server:
        found = sample(target(f"http://localhost:{server.port}/", "kept"), 0.1)
    assert {row.region for row in found} == {"us"}


def test_no_tls_where_it_is_expected_is_malformed() -> None:
    with Server(lambda _: GOOD) as server:
        found = sample(target(f"https://127.0.0.1:{server.port}/", timeout=5.0), 0.1)
    assert {row.error for row in found} == {"malformed"}


@pytest.mark.parametrize("connection", ["fresh", "kept"])
def test_a_black_hole_does_not_slow_the_schedule(connection: str) -> None:
    with black_hole() as hole:
        found = sample(target(f"http://{hole}/", connection, timeout=0.2), 0.4)
    assert_every_due_sample_once(found)
    assert len(found) >= 18
    assert {row.error for row in found} == {"timeout"}
    assert all(0.19 < row.latency < 2 for row in found)


def test_a_server_that_never_answers() -> None:
    with Server(lambda _: None) as server:
        found = sample(target(server.url, "kept", timeout=0.1))
    assert_every_due_sample_once(found)
    assert {row.error for row in found} == {"timeout"}


def test_a_closed_kept_connection_is_a_failure_and_not_asked_again() -> None:
    """The server closes each connection instead of answering the second request on it."""

    seen: dict[int, int] = {}

    def answer(_: str) -> bytes:
        seen[server.connections] = seen.get(server.connections, 0) + 1
        return GOOD if seen[server.connections] == 1 else b""

    with Server(answer) as server:
        found = sample(target(server.url, "kept"))
    assert len(server.heads) == len(found), "one request a sample"
    assert {row.error for row in found} == {None, "reset"}


def test_a_kept_connection_that_the_server_closed_while_idle_is_replaced() -> None:
    with Server(lambda _: GOOD, close=True) as server:
        found = sample(target(server.url, "kept"))
    assert {row.error for row in found} == {None}
    assert server.connections == len(found)


def test_a_short_outage_between_two_looks_is_counted() -> None:
    down: list[float] = []
    with Server(lambda _: GOOD) as server:

        def outage() -> None:
            down.append(time.monotonic())
            server.shut()
            time.sleep(0.2)
            server.again()
            down.append(time.monotonic())

        found = sample(target(server.url), 0.2, outage)
    failed = [row for row in found if row.error]
    assert_every_due_sample_once(found)
    assert len(failed) >= 5
    assert all(down[0] - 0.5 < row.due < down[1] for row in failed)
    assert found[0].error is None
    assert found[-1].error is None


def test_late_samples_are_sent_late_and_say_so() -> None:
    late: list[float] = []

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.1, lambda: time.sleep(0.3))
        asyncio.get_running_loop().call_later(0.5, sampler.stop)
        await sampler.run()

    found: list[Samples] = []
    with Server(lambda _: GOOD) as server:
        sampler = Sampler([target(server.url)], found.append, late.append)
        asyncio.run(main())
    every = rows(found)
    assert_every_due_sample_once(every)
    assert len(every) >= 24
    assert len(late) == len(every)
    assert max(late) > 0.25
    assert max(row.latency for row in every) > 0.25


def test_a_failing_listener_ends_the_sampling_loudly() -> None:
    def emit(_: Samples) -> None:
        raise OSError("disk full")

    with Server(lambda _: GOOD) as server, pytest.raises(ExceptionGroup, match="unhandled"):  # noqa: SIM117 - too long
        with sampling([target(server.url)], emit):
            time.sleep(0.4)


def test_a_name_is_refused_where_it_would_be_resolved_in_the_wrong_place() -> None:
    there = target("http://shop.example/")
    elsewhere = Target(there.stream, there.entry, Place.model_validate({"netns": "/run/netns/bs-us"}))
    with pytest.raises(ValueError, match="use its IP address"):
        Sampler([elsewhere], lambda _: None)
    Sampler([there], lambda _: None)


@given(st.lists(st.tuples(st.floats(0, 10), st.sampled_from([None, "timeout"]))))
def test_batches_hold_each_row_once_in_order_and_a_second_at_most(data: list[tuple[float, str | None]]) -> None:
    given_rows = [Row(due, 0.1, None if error else "us", error) for due, error in data]
    found = batches("s", given_rows)
    assert rows(found) == sorted(given_rows, key=lambda row: row.due)
    for batch in found:
        assert batch.due == sorted(batch.due)
        assert batch.due[-1] - batch.due[0] <= 1


@pytest.mark.parametrize("body", [b"", b"7", b"null", b'{"region": ""}', b'{"region": null}', b"\xff", b"{"])
def test_only_a_name_says_who_answered(body: bytes) -> None:
    assert served_by(body, "region") is None
    assert served_by(b'{"region": "us"}', "region") == "us"
