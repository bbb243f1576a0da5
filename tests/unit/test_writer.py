"""The evidence writer: a chain, on the disk when it matters."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from blackstart.evidence.records import Header, Note, Phase, PhaseStart, Samples, Stream
from blackstart.evidence.writer import GENESIS, EvidenceError, Writer


def header() -> Header:
    return Header(
        run_id="r",
        drill={},
        fleet={},
        experiment={},
        probes=[],
        streams=[a_stream()],
        services={},
        victims=[],
        survivors=[],
        versions={},
        digests={},
        command=[],
        initiator="me",
        monotonic=0.0,
        wall="2026-01-01T00:00:00Z",
    )


def a_stream() -> Stream:
    return Stream(name="s", service="s", kind="entry", region=None, connection="fresh", interval=0.1, timeout=1.0)


def samples(due: float) -> Samples:
    return Samples(stream="s", due=[due], latency=[0.1], ok=[True], region=["us"], error=[None])


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    monkeypatch.setattr(os, "fsync", seen.append)
    return seen


def test_each_line_carries_the_digest_of_the_line_before(tmp_path: Path) -> None:
    with Writer(tmp_path / "e") as writer:
        writer.write(header())
        writer.write(PhaseStart(phase=Phase.PREFLIGHT))
    first, second = (tmp_path / "e").read_bytes().splitlines()
    assert f'"prev":"{GENESIS}"'.encode() in first
    assert hashlib.sha256(first).hexdigest().encode() in second


def test_a_record_keeps_the_time_at_which_it_happened(tmp_path: Path) -> None:
    with Writer(tmp_path / "e", clock=lambda: 7.0) as writer:
        assert writer.write(header(), 5.0).t == 5.0
        assert writer.write(Note(level="info", text="later")).t == 7.0


def test_a_change_of_state_is_synced_at_once(tmp_path: Path, syncs: list[int]) -> None:
    with Writer(tmp_path / "e") as writer:
        before = len(syncs)
        writer.write(PhaseStart(phase=Phase.HOLD))
    assert len(syncs) == before + 1


def test_samples_are_synced_once_a_second(tmp_path: Path, syncs: list[int]) -> None:
    clock = Clock()
    with Writer(tmp_path / "e", clock=clock) as writer:
        before = len(syncs)
        for clock.now in (0.25, 0.5, 0.75):
            writer.write(samples(clock.now))
        assert len(syncs) == before
        clock.now = 1.0
        writer.write(samples(1.0))
        assert len(syncs) == before + 1


def test_an_evidence_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "e").write_text("earlier run")
    with pytest.raises(EvidenceError, match="cannot create"):
        Writer(tmp_path / "e")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="No such file"):
        Writer(tmp_path / "gone" / "e")


def test_nothing_is_written_after_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with Writer(tmp_path / "e") as writer:
        writer.write(header())
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(EvidenceError, match="No space left"):
            writer.write(Note(level="info", text="lost"))
        monkeypatch.undo()
        with pytest.raises(EvidenceError, match="No space left"):
            writer.write(Note(level="info", text="lost too"))
    assert len((tmp_path / "e").read_bytes().splitlines()) == 1


def test_a_failed_sync_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    with Writer(tmp_path / "e") as writer:
        monkeypatch.setattr(os, "fsync", broken)
        with pytest.raises(EvidenceError, match="Input/output"):
            writer.write(header())


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:7]))
    with Writer(tmp_path / "e") as writer:
        line = writer.write(header())
    assert (tmp_path / "e").read_bytes() == line.model_dump_json().encode() + b"\n"
