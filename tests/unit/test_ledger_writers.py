"""The writers: intent before send, one in flight each, nothing sent twice, no answer taken for more than it says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from ledgerkit import RUN, Shop, a_job, commit, commit_then, lie, refuse, total
from loopback import black_hole, free_address, http

from blackstart.evidence.written import Writes
from blackstart.fleet.http1 import Answer
from blackstart.ledger import ids, writers
from blackstart.ledger.book import LEDGER, Seal
from blackstart.ledger.checker import check
from blackstart.ledger.post import meaning
from blackstart.ledger.records import Write, read
from blackstart.ledger.writers import Job, Writers


def work(job: Job, seconds: float, orders: Callable[[], AsyncIterator[str]] | None = None) -> list[Writes]:
    """Write for a while, in this process; what was told."""
    told: list[Writes] = []

    async def later() -> AsyncIterator[str]:
        await asyncio.sleep(seconds)
        yield "stop"

    async def main() -> None:
        made = Writers(job, told.append)
        async with asyncio.TaskGroup() as group:
            group.create_task(made.obey((orders or later)()))
            group.create_task(made.run())

    asyncio.run(main())
    return told


def the_ledger(job: Job, told: list[Writes]) -> list[Write]:
    return read(job.path, RUN, [Seal(w.lines, w.digest) for w in told], whole=True)


def test_every_write_is_acknowledged_and_there(tmp_path: Path) -> None:
    shop = Shop(commit)
    with shop.server:
        job = a_job(tmp_path, shop.url)
        told = work(job, 0.5)
    writes = the_ledger(job, told)
    assert len(writes) > 20
    found = check(writes, shop.rows, ordered=True)
    assert (len(found.lost), found.phantom, found.reordered, found.duplicated) == (0, [], [], [])
    assert found.acknowledged == len(shop.rows) == total(told)["ok"]
    assert told[-1].state == "stopped"
    assert {w.by for w in writes} == {"us/order-1"}
    # What was sent is what was meant, in this order, each once.
    assert sorted(name for name, _ in shop.seen) == sorted(w.id for w in writes)


def test_writers_are_shared_out_among_entries_and_each_stays_with_its_own(tmp_path: Path) -> None:
    us, eu = Shop(commit), Shop(refuse)
    with us.server, eu.server:
        job = a_job(tmp_path, us.url, urls={"us": us.url, "eu": eu.url})
        told = work(job, 0.5)
    at_us, at_eu = ({name.split(".")[1] for name, _ in shop.seen} for shop in (us, eu))
    assert (at_us, at_eu) == ({"000", "002", "004"}, {"001", "003"})
    taken = {side: sum(w.taken[side] for w in told) for side in ("us", "eu")}
    assert taken == {"us": total(told)["ok"], "eu": 0}
    assert taken["us"] == len(us.rows) > 0


def test_the_intent_is_in_the_file_when_the_request_arrives(tmp_path: Path) -> None:
    missing: list[str] = []

    def look(shop: Shop, write: str) -> bytes:
        if f'"intent":"{write}"'.encode() not in (tmp_path / LEDGER).read_bytes():
            missing.append(write)
        return commit(shop, write)

    shop = Shop(look)
    with shop.server:
        work(a_job(tmp_path, shop.url), 0.3)
    assert shop.rows
    assert not missing


def test_one_in_flight_each_and_the_next_number_after_the_outcome(tmp_path: Path) -> None:
    shop = Shop(commit)
    with shop.server:
        job = a_job(tmp_path, shop.url, writers=3)
        told = work(job, 0.4)
    last: dict[int, Write] = {}
    for write in the_ledger(job, told):
        if before := last.get(write.writer):
            assert write.number == before.number + 1
            assert before.answered is not None
            assert write.sent >= before.answered
        last[write.writer] = write
    assert set(last) == {0, 1, 2}


def test_a_service_that_acknowledges_without_writing_is_caught(tmp_path: Path) -> None:
    shop = Shop(lie)
    with shop.server:
        job = a_job(tmp_path, shop.url)
        told = work(job, 0.2)
    found = check(the_ledger(job, told), shop.rows)
    assert found.acknowledged > 0
    assert len(found.lost) == found.acknowledged


LIES_AND_NOISE = {
    "half an answer": b'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"committed": true',
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "garbage": b"\x00\xff not HTTP at all\r\n\r\n",
    "a closed connection": b"",
    "no answer": None,
    "a page": http(b"<html>welcome</html>", "200 OK"),
    "an array": http([1]),
    "2xx and not committed": http({"committed": False}),
    "committed: yes": http({"committed": "yes"}),
    "503 without a word": http({}, "503 Service Unavailable"),
    "503, committed": http({"committed": True}, "503 Service Unavailable"),
    "503, cut": b'HTTP/1.1 503 No\r\nContent-Length: 40\r\n\r\n{"committed": false}',
    "404": http({}, "404 Not Found"),
    "redirect": http({}, "302 Found", "Location: /elsewhere\r\n"),
}


@pytest.mark.parametrize("answer", LIES_AND_NOISE.values(), ids=LIES_AND_NOISE.keys())
def test_what_does_not_say_so_clearly_is_neither_ok_nor_failed(tmp_path: Path, answer: bytes | None) -> None:
    """The service wrote: taking any of these for `failed` would make a phantom, for `ok` a promise nobody made."""
    shop = Shop(commit_then(answer))
    with shop.server:
        job = a_job(tmp_path, shop.url, timeout=0.1)
        told = work(job, 0.3)
    writes = the_ledger(job, told)
    assert writes
    assert {w.result for w in writes} == {"indeterminate"}
    found = check(writes, shop.rows)
    assert found.recovered == len(set(shop.rows))
    assert not found.phantom
    assert not found.lost


def test_a_refusal_is_failed(tmp_path: Path) -> None:
    shop = Shop(refuse)
    with shop.server:
        job = a_job(tmp_path, shop.url)
        told = work(job, 0.2)
    writes = the_ledger(job, told)
    assert writes
    assert {w.result for w in writes} == {"failed"}
    assert not check(writes, shop.rows).phantom
    # A service that wrote after all is caught.
    assert check(writes, [writes[0].id]).phantom == [writes[0].id]


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (200, b"", "ok"),
        (204, b"", "ok"),
        (201, b'{"region": "eu"}', "ok"),
        (200, b'{"committed": true}', "ok"),
        (200, b'{"committed": null}', "indeterminate"),
        (409, b'{"committed": false}', "failed"),
        (503, b'{"committed": false, "region": "us"}', "failed"),
        (503, b'{"committed": 0}', "indeterminate"),
        (503, b"", "indeterminate"),
        (200, b"[" * 100_000, "indeterminate"),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, result: str) -> None:
    assert meaning(Answer(status, body, keep=False))[0] == result


def test_an_outage_is_survived_at_a_bounded_rate(tmp_path: Path) -> None:
    """Refused at once: writers must neither stop nor spin."""
    shop = Shop(commit)
    with shop.server:

        async def orders() -> AsyncIterator[str]:
            await asyncio.sleep(0.3)
            await asyncio.to_thread(shop.server.shut)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(shop.server.again)
            await asyncio.sleep(0.3)
            yield "stop"

        job = a_job(tmp_path, shop.url, interval=0.05, writers=4)
        began = time.monotonic()
        told = work(job, 0, orders)
        elapsed = time.monotonic() - began
    writes = the_ledger(job, told)
    results = [w.result for w in sorted(writes, key=lambda w: w.sent)]
    down = [i for i, result in enumerate(results) if result == "indeterminate"]
    assert down
    assert "ok" in results[: down[0]]
    assert "ok" in results[down[-1] :]
    assert len(writes) <= 4 * (1 + elapsed / 0.05)
    assert not check(writes, shop.rows, ordered=True).lost


def test_a_black_hole_costs_each_writer_its_timeout(tmp_path: Path) -> None:
    with black_hole() as address:
        job = a_job(tmp_path, f"http://{address}/orders", timeout=0.2, writers=3)
        told = work(job, 0.5)
    writes = the_ledger(job, told)
    assert {w.result for w in writes} == {"indeterminate"}
    assert 3 <= len(writes) <= 12


def test_a_pause_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    told_at: list[tuple[str, int]] = []
    shop = Shop(commit)

    async def orders() -> AsyncIterator[str]:
        await asyncio.sleep(0.3)
        yield "pause"
        await asyncio.sleep(0.4)
        told_at.append(("paused", len(shop.rows)))
        await asyncio.sleep(0.3)
        told_at.append(("still", len(shop.rows)))
        yield "resume"
        await asyncio.sleep(0.3)
        yield "stop"

    with shop.server:
        job = a_job(tmp_path, shop.url)
        told = work(job, 0, orders)
    assert [w.state for w in told if w.state != "running"] == ["paused", "stopped"]
    (_, at_rest), (_, later) = told_at
    assert 0 < at_rest == later < len(shop.rows)
    paused = next(w for w in told if w.state == "paused")
    # The seal of a pause is of everything: as many intents as outcomes.
    assert paused.lines == 1 + 2 * at_rest


def test_only_the_monotonic_clock_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock jumps to and fro with each look at it."""
    jumps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: (-1) ** next(jumps) * 1e9)
    shop = Shop(commit)
    with shop.server:
        job = a_job(tmp_path, shop.url)
        began = time.monotonic()
        told = work(job, 0.2)
        ended = time.monotonic()
    writes = the_ledger(job, told)
    assert writes
    for write in writes:
        assert write.answered is not None
        assert began <= write.sent <= write.answered <= ended


# -- the process


def start(job: Job) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", writers.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    process.stdin.write(job.model_dump_json() + "\n")
    process.stdin.flush()
    return process


def until(what: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_process_stops_when_told_and_says_so(tmp_path: Path) -> None:
    shop = Shop(commit)
    with shop.server:
        job = a_job(tmp_path, shop.url)
        process = start(job)
        until(lambda: len(shop.rows) > 10)
        out, err = process.communicate("stop\n", timeout=30)
    told = [Writes.model_validate_json(line) for line in out.splitlines()]
    assert (process.returncode, err) == (0, "")
    assert told[-1].state == "stopped"
    assert not check(the_ledger(job, told), shop.rows).lost


def test_it_ends_when_the_one_who_started_it_does(tmp_path: Path) -> None:
    shop = Shop(commit)
    with shop.server:
        process = start(a_job(tmp_path, shop.url))
        until(lambda: shop.rows)
        out, _ = process.communicate(timeout=30)  # closes its input
    assert json.loads(out.splitlines()[-1])["state"] == "stopped"


def test_ctrl_c_is_not_for_it(tmp_path: Path) -> None:
    shop = Shop(commit)
    with shop.server:
        process = start(a_job(tmp_path, shop.url))
        until(lambda: shop.rows)
        process.send_signal(signal.SIGINT)
        before = len(shop.rows)
        until(lambda: len(shop.rows) > before)
        process.communicate("stop\n", timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("when", ["before the answer", "while writing"])
def test_killed_at_any_time_the_file_tells_what_may_have_been_written(tmp_path: Path, when: str) -> None:
    """kill -9 between intent and outcome: nothing that was sent is missing in the file."""
    hang = when == "before the answer"
    shop = Shop(commit_then(None) if hang else commit)
    with shop.server:
        job = a_job(tmp_path, shop.url, timeout=30.0 if hang else 0.5)
        process = start(job)
        until(lambda: len(shop.rows) >= (5 if hang else 30))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
        writes = read(job.path, RUN)
    found = check(writes, shop.rows)
    assert not found.phantom
    assert not found.lost
    assert found.recovered >= (5 if hang else 0)


def test_a_file_that_is_there_already_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_text("precious")
    process = start(a_job(tmp_path, f"http://{free_address()}/"))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "File exists" in err
    assert "Traceback" not in err
    assert (tmp_path / LEDGER).read_text() == "precious"


def test_ids_are_never_used_twice(tmp_path: Path) -> None:
    names = {ids.make(RUN, 0, 1) for _ in range(1000)}
    assert len(names) == 1000
