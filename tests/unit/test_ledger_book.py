"""The ledger's file: what is meant is on the disk first, and no cut or edit of it goes unnoticed."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackstart.evidence.writer import utc_now
from blackstart.evidence.written import Writes
from blackstart.ledger import ids
from blackstart.ledger.book import LEDGER, Book, BookError, Outcome, Seal
from blackstart.ledger.records import BadLedger, altered, read
from blackstart.run.header import new_run_id

RUN = "20260101-000000-abcd"


def written(path: Path, n: int = 5) -> Seal:
    """A book of `n` acknowledged writes of one writer; its seal."""

    async def write() -> Seal:
        book = Book(path, RUN)
        for number in range(1, n + 1):
            name = ids.make(RUN, 0, number)
            await book.intend(name, float(number))
            book.outcome(name, Outcome("ok", number + 0.1, number + 0.2, "us/pod-1"))
        await book.flush()
        book.close()
        return book.seal

    return asyncio.run(write())


@given(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?", fullmatch=True),
    st.integers(0, 999),
    st.integers(1, 9_999_999),
)
def test_an_id_says_what_it_was_made_of_and_is_safe_in_patterns_and_keys(
    drill: str, writer: int, number: int
) -> None:
    run = ids.short(new_run_id(drill, utc_now()))
    name = ids.make(run, writer, number)
    assert ids.parse(name) == (run, writer, number)
    assert len(name) <= 50
    assert name.startswith(ids.prefix(run))
    assert not set(name) & set("%_*?[]\\'\" ")
    assert name == name.lower()


def test_runs_of_the_same_second_have_different_ids() -> None:
    now = utc_now()
    assert ids.short(new_run_id("a-b", now)) != ids.short(new_run_id("a-b", now))


@pytest.mark.parametrize("text", ["", "x", "r.000.0000001", "r.0.1.abcdefabcdef", "r.000.0000001.ABCDEFABCDEF"])
def test_other_texts_are_no_ids(text: str) -> None:
    assert ids.parse(text) is None


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    seal = written(tmp_path / LEDGER)
    found = read(tmp_path / LEDGER, RUN, [seal], whole=True)
    assert [(w.writer, w.number, w.result, w.sent, w.answered, w.by) for w in found] == [
        (0, n, "ok", n + 0.1, n + 0.2, "us/pod-1") for n in range(1, 6)
    ]
    assert seal.lines == 11


def test_the_intent_is_on_the_disk_before_the_send(tmp_path: Path) -> None:
    """A slow disk: nobody may go on before its fsync has returned."""
    path, release, synced = tmp_path / LEDGER, threading.Event(), []

    def slow(fd: int) -> None:
        release.wait(10)
        os.fsync(fd)
        synced.append(path.read_bytes())

    async def write() -> None:
        book = Book(path, RUN, slow)
        names = [ids.make(RUN, writer, 1) for writer in range(20)]
        waiting = [asyncio.create_task(book.intend(name, 1.0)) for name in names]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in waiting)
        release.set()
        await asyncio.gather(*waiting)
        assert all(name.encode() in synced[-1] for name in names)
        # Many share one wait for the disk.
        assert len(synced) <= 3
        book.close()

    asyncio.run(write())


def test_a_full_disk_stops_the_writing(tmp_path: Path) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def write() -> None:
        book = Book(tmp_path / LEDGER, RUN, full)
        for _ in range(2):
            with pytest.raises(BookError, match="No space left"):
                await book.intend(ids.make(RUN, 0, 1), 1.0)
        book.close()

    asyncio.run(write())


def test_an_intent_without_an_outcome_is_indeterminate(tmp_path: Path) -> None:
    """As after a kill -9 between the two."""
    written(tmp_path / LEDGER, 3)
    path = tmp_path / LEDGER
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:17])
    last = read(path, RUN)[-1]
    assert (last.number, last.result, last.sent, last.answered) == (3, "indeterminate", 3.0, None)


def cut_a_line(raw: bytes) -> bytes:
    return b"".join(raw.splitlines(keepends=True)[:-1])


def cut_two_in_the_middle(raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    return b"".join(lines[:5] + lines[7:])


def cut_a_byte(raw: bytes) -> bytes:
    return raw[:-1]


def turn_an_ok(raw: bytes) -> bytes:
    return raw.replace(b'"result":"ok"', b'"result":"failed"', 1)


def change_a_time(raw: bytes) -> bytes:
    return raw.replace(b'"answered":3.2', b'"answered":9.2', 1)


def swap(raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    lines[1:3], lines[3:5] = lines[3:5], lines[1:3]
    return b"".join(lines)


def add(raw: bytes) -> bytes:
    return raw + json.dumps({"intent": ids.make(RUN, 0, 6), "t": 6.0}).encode() + b"\n"


def nothing(_: bytes) -> bytes:
    return b""


ATTACKS = [cut_a_line, cut_two_in_the_middle, cut_a_byte, turn_an_ok, change_a_time, swap, add, nothing]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_changed_file_is_found_out(tmp_path: Path, attack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / LEDGER
    seal = written(path)
    told = Writes(
        service="s", state="stopped", sent=5, ok=5, failed=0, indeterminate=0, lines=seal.lines, digest=seal.digest
    )
    assert altered(tmp_path, [told]) is None
    path.write_bytes(attack(path.read_bytes()))
    with pytest.raises(BadLedger):
        read(path, RUN, [seal], whole=True)
    assert altered(tmp_path, [told])


def test_a_file_that_is_gone_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(BadLedger, match="No such file"):
        read(tmp_path / LEDGER, RUN)


@pytest.mark.parametrize(
    "attack",
    [cut_two_in_the_middle, swap, lambda raw: raw.replace(RUN.encode(), b"other", 1), lambda raw: raw + b"{\n"],
)
def test_even_without_a_seal_a_file_that_makes_no_sense_is_refused(
    tmp_path: Path, attack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / LEDGER
    written(path)
    path.write_bytes(attack(path.read_bytes()))
    with pytest.raises(BadLedger):
        read(path, RUN)


def test_a_file_that_has_grown_since_a_seal_is_good(tmp_path: Path) -> None:
    path = tmp_path / LEDGER
    seal = written(path)
    path.write_bytes(add(path.read_bytes()))
    assert len(read(path, RUN, [seal])) == 6
