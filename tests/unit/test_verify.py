"""Reading evidence back: every edit, cut and swap is found, and a crash is not taken for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_writer import header, samples

from blackstart.evidence.reader import BadEvidence, changed_files, read, verify, write_sums
from blackstart.evidence.records import End, Header, Note, Phase, PhaseStart
from blackstart.evidence.writer import Writer

LINES = 8


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    path = tmp_path_factory.mktemp("run") / "evidence.ndjson"
    with Writer(path, clock=lambda: 1.0) as writer:
        writer.write(header())
        writer.write(PhaseStart(phase=Phase.PREFLIGHT))
        for due in (1.0, 2.0, 3.0, 4.0):
            writer.write(samples(due))
        writer.write(Note(level="info", text="nearly done"))
        writer.write(End(how="complete"))
    return path.read_bytes().splitlines(keepends=True)


def file(folder: Path, lines: list[bytes]) -> Path:
    path = folder / "evidence.ndjson"
    path.write_bytes(b"".join(lines))
    return path


def test_whole_evidence_is_complete(tmp_path: Path, lines: list[bytes]) -> None:
    found = verify(file(tmp_path, lines))
    assert found.complete
    assert found.lines == LINES
    assert isinstance(next(read(tmp_path / "evidence.ndjson")).body, Header)


EDITS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "an edit": (lambda x: [*x[:3], x[3].replace(b"0.1", b"0.2"), *x[4:]], "line 5"),
    "an edit that is no JSON": (lambda x: [*x[:3], b"{" + x[3], *x[4:]], "line 4"),
    "a line cut out": (lambda x: x[:3] + x[4:], "line 4"),
    "the header cut out": (lambda x: x[1:], "line 1"),
    "two lines swapped": (lambda x: [*x[:2], x[3], x[2], *x[4:]], "line 3"),
    "a line twice": (lambda x: [*x[:3], x[2], *x[3:]], "line 4"),
    "an empty line": (lambda x: [*x[:3], b"\n", *x[3:]], "line 4"),
    "a line after the end": (lambda x: [*x, x[-1]], "line 9"),
    "nothing at all": (lambda _: [], "no whole line"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_change_is_found_at_its_line(tmp_path: Path, lines: list[bytes], name: str) -> None:
    change, where = EDITS[name]
    found = verify(file(tmp_path, change(lines)))
    assert not found.intact
    assert found.problem is not None
    assert where in found.problem


def test_reading_stops_at_a_change(tmp_path: Path, lines: list[bytes]) -> None:
    with pytest.raises(BadEvidence, match="line 4"):
        list(read(file(tmp_path, lines[:3] + lines[4:])))


def test_a_torn_last_line_is_left_out(tmp_path: Path, lines: list[bytes]) -> None:
    path = file(tmp_path, [*lines[:5], lines[5][:20]])
    found = verify(path)
    assert (found.intact, found.complete, found.torn, found.lines) == (True, False, True, 5)
    assert len(list(read(path))) == 5


def test_whole_lines_cut_from_the_end_are_missed_by_the_end_record(tmp_path: Path, lines: list[bytes]) -> None:
    found = verify(file(tmp_path, lines[:-1]))
    assert (found.intact, found.complete) == (True, False)


def test_sums_find_what_the_chain_cannot(tmp_path: Path, lines: list[bytes]) -> None:
    path = file(tmp_path, lines)
    (tmp_path / "result.json").write_text("{}")
    write_sums(tmp_path)
    assert changed_files(tmp_path) == []
    path.write_bytes(path.read_bytes().replace(b'"complete"', b'"aborted"'))
    (tmp_path / "result.json").unlink()
    assert changed_files(tmp_path) == ["evidence.ndjson: not as it was when the run ended", "result.json: missing"]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_found(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(lines)
    # The last line has no successor; its digest is in SHA256SUMS.
    at = data.draw(st.integers(0, len(whole) - len(lines[-1]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != whole[at]))
    path = tmp_path_factory.mktemp("edit") / "evidence.ndjson"
    path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    found = verify(path)
    assert not found.intact or not found.complete
