import multiprocessing
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackstart.evidence.records import FaultState
from blackstart.evidence.undo import Entry, Store, Undo, UndoError, fold, write_whole

S = FaultState


def an_undo(fault: str = "scale-1", run: str = "r1", at: str = "2026-01-01T00:00:00Z") -> Undo:
    return Undo(run=run, fault=fault, kind="scale", target="us/x", fleet="/f", clusters={}, data={}, before={}, at=at)


def test_armed_is_outstanding_until_confirmed_reverted(tmp_path: Path) -> None:
    store, undo = Store(tmp_path), an_undo()
    store.arm(undo)
    for state in (S.APPLIED, S.CONFIRMED, S.REVERTED, S.CONFLICT):
        store.record(undo, state)
        assert [e.state for e in store.read("r1").outstanding] == [state]
    store.record(undo, S.CONFIRMED_REVERTED)
    assert store.read().outstanding == []
    names = sorted(p.name for p in store.folder("r1").iterdir())
    assert names[0] == "scale-1.0.armed.json"
    assert names[-1] == "scale-1.5.confirmed_reverted.json"


def test_the_newest_comes_first_and_runs_are_apart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.arm(an_undo("a-1", "r1", "2026-01-01T00:00:01Z"))
    store.arm(an_undo("b-1", "r2", "2026-01-01T00:00:03Z"))
    store.arm(an_undo("c-1", "r1", "2026-01-01T00:00:02Z"))
    assert [e.undo.id for e in store.read().outstanding] == ["r2/b-1", "r1/c-1", "r1/a-1"]
    assert [e.undo.id for e in store.read("r1").outstanding] == ["r1/c-1", "r1/a-1"]
    assert store.faults("r1") == ["a-1", "c-1"]
    assert store.runs() == ["r1", "r2"]


def test_a_half_written_file_is_no_record_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    store, undo = Store(tmp_path), an_undo()
    store.arm(undo)
    store.record(undo, S.CONFIRMED_REVERTED)
    (store.folder("r1") / ".scale-1.2.applied.json.77.tmp").write_text('{"half')
    assert store.read().damaged == ()
    torn = store.folder("r1") / "scale-1.1.confirmed_reverted.json"
    torn.write_text(torn.read_text()[:40])
    found = store.read()
    assert found.damaged == (torn,)
    # What cannot be read proves nothing: the fault counts as outstanding again.
    assert [e.state for e in found.outstanding] == [S.ARMED]


@pytest.mark.parametrize("failing", ["fsync", "open", "mkdir"])
def test_what_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((Path, "mkdir") if failing == "mkdir" else (os, failing)), full)
    with pytest.raises(UndoError, match="No space left on device; free space"):
        Store(tmp_path).arm(an_undo())
    monkeypatch.undo()
    assert Store(tmp_path).read().latest == {}


def test_a_run_that_cannot_be_a_label_is_refused(tmp_path: Path) -> None:
    for run in ("../x", "", "a" * 64, "a b", "-a"):
        with pytest.raises(UndoError, match="run id"):
            Store(tmp_path).arm(an_undo(run=run))


def test_a_write_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_whole(path, b"old")

    def power_cut(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", power_cut)
    with pytest.raises(OSError, match="Input/output"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def _entries() -> st.SearchStrategy[list[Entry]]:
    states = st.lists(st.sampled_from(list(S)), max_size=8)
    runs = st.dictionaries(st.sampled_from(["a", "b", "c"]), states, max_size=3)

    def build(found: dict[str, list[FaultState]]) -> list[Entry]:
        undos = {fault: an_undo(fault) for fault in found}
        return [
            Entry(undo=undos[f], n=n, state=state)
            for f, later in found.items()
            for n, state in enumerate([S.ARMED, *later])
        ]

    return runs.map(build)


@given(_entries(), st.randoms())
def test_the_fold_does_not_depend_on_the_order(entries: list[Entry], random: object) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold(shuffled) == fold(entries)
    for entry in fold(entries).values():
        assert entry.n == max(e.n for e in entries if e.undo.id == entry.undo.id)


@given(_entries(), st.data())
def test_losing_the_latest_files_never_hides_a_fault(entries: list[Entry], data: st.DataObject) -> None:
    """A crash loses a suffix of what was written for each fault; only what was confirmed as reverted may be gone."""
    kept = [e for e in entries if e.n <= data.draw(st.integers(0, 9))]
    for entry in fold(kept).values():
        reverted = any(e.state is S.CONFIRMED_REVERTED and e.n == entry.n for e in kept if e.undo.id == entry.undo.id)
        assert entry.outstanding is not reverted


def _hold(root: Path, ready: object, done: object) -> None:
    store = Store(root)
    with store.alive("r1"), store.restoring("r1"):
        ready.set()  # type: ignore[attr-defined]
        done.wait(10)  # type: ignore[attr-defined]


def test_a_run_is_alive_while_a_process_works_on_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.arm(an_undo())
    assert not store.is_alive("r1")
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    other = spawn.Process(target=_hold, args=(tmp_path, ready, done))
    other.start()
    try:
        assert ready.wait(10)
        assert store.is_alive("r1")
        began = time.monotonic()
        with pytest.raises(UndoError, match="another process"), store.restoring("r1", deadline=0.2):
            pass
        assert time.monotonic() - began < 2
    finally:
        other.kill()
        other.join()
    assert not store.is_alive("r1")
    with store.restoring("r1", deadline=1):
        pass
