"""`blackstart run`, `judge` and `verify` from the outside, on a fleet that is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runkit import World, a_plan, parts

from blackstart.cli import invoke
from blackstart.cli.run import exit_code
from blackstart.evidence.reader import EVIDENCE, SUMS
from blackstart.evidence.records import End
from blackstart.plan import resolve
from blackstart.run import conduct, supervisor, watch
from blackstart.run.looks import Look, Wrong
from blackstart.run.parts import Outcome
from blackstart.schema.result import Result

FILES = {EVIDENCE, SUMS, "result.json", "report.html", "junit.xml", "summary.md"}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A fleet on which every drill passes."""
    monkeypatch.setattr(watch, "GRACE", 0.1)
    monkeypatch.setattr(supervisor, "GRACE", 0.1)
    monkeypatch.setattr(resolve, "make_plan", lambda drill, fleet, settings: a_plan())
    world = World(tmp_path)
    behave(monkeypatch, world)
    return world


def behave(
    monkeypatch: pytest.MonkeyPatch,
    world: World,
    mode: str = "well",
    recover: str = "recover",
    preflight: dict[str, Look] | None = None,
) -> None:
    made = parts(world, mode, recover, preflight=preflight or {})
    monkeypatch.setattr(conduct, "real_parts", lambda plan, run_id, folder: made)


def run(world: World, *options: str) -> int:
    return invoke(["run", "region-loss", "--out", str(world.folder / "reports"), *options])


def folder(world: World) -> Path:
    (found,) = (world.folder / "reports").iterdir()
    return found


def test_a_run_that_passes(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world) == 0
    out = capsys.readouterr().out
    assert "Z phase hold" in out
    assert " PASS " in out
    assert f"report {folder(world) / 'report.html'}" in out
    assert {path.name for path in folder(world).iterdir()} >= FILES
    assert folder(world).name.split("-", 2)[2].startswith("region-loss-")


def test_json_has_stdout_to_itself(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world, "--json") == 0
    captured = capsys.readouterr()
    assert Result.model_validate_json(captured.out).verdict == "PASS"
    assert "Z phase hold" in captured.err
    assert json.loads(captured.out) == json.loads((folder(world) / "result.json").read_text())


def test_a_refused_run_exits_12_and_still_reports(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def another() -> str:
        raise Wrong("another cluster")

    behave(monkeypatch, world, preflight={"identity/us": another})
    assert run(world) == 12
    assert "another cluster" in capsys.readouterr().out
    assert {path.name for path in folder(world).iterdir()} >= FILES


def test_a_run_that_is_not_put_back_exits_14_and_says_what_next(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behave(monkeypatch, world, "dies", "recover-fails")
    assert run(world) == 14
    out = capsys.readouterr().out
    assert " UNSAFE " in out
    assert f"next: blackstart recover --run {folder(world).name}" in out


def test_a_fault_that_did_not_bite_exits_12(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    behave(monkeypatch, world, "ineffective")
    assert run(world) == 12


def test_a_bug_exits_1(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("blackstart.run.guards.Guards.tripped", broken)
    assert run(world) == 1
    assert "a bug" in capsys.readouterr().err
    assert not world.down.exists()


def test_a_display_that_breaks_does_not_end_in_green(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("blackstart.run.display.say", broken)
    assert run(world) == 1


def test_a_terminal_that_went_away_does_not_change_the_exit_code(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("blackstart.cli.resultview.show", gone)
    assert run(world) == 0
    assert {path.name for path in folder(world).iterdir()} >= FILES


def test_a_folder_that_cannot_be_made(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (world.folder / "file").touch()
    assert run(world, "--out", str(world.folder / "file" / "reports")) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_a_fleet_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["run", "region-loss", "--fleet", str(tmp_path / "fleet.yaml")]) == 2
    assert "blackstart lab up" in capsys.readouterr().err


def test_evidence_is_judged_again_and_verified(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world) == 0
    where = folder(world)
    before = (where / "result.json").read_text()
    capsys.readouterr()
    assert invoke(["judge", str(where), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(before)
    assert invoke(["verify", str(where)]) == 0
    (where / "result.json").write_text(before.replace("PASS", "FAIL"))
    assert invoke(["verify", str(where)]) == 12
    assert invoke(["judge", str(where), "--write"]) == 0
    assert invoke(["verify", str(where)]) == 0


def test_altered_evidence_is_neither_verified_nor_judged(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world) == 0
    evidence = folder(world) / EVIDENCE
    evidence.write_bytes(evidence.read_bytes().replace(b'"region":["us"', b'"region":["eu"', 1))
    capsys.readouterr()
    assert invoke(["verify", str(folder(world))]) == 12
    assert "ALTERED" in capsys.readouterr().out
    assert invoke(["judge", str(folder(world))]) == 12


def test_evidence_cut_by_a_crash_is_judged_but_never_green(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world) == 0
    where = folder(world)
    (where / SUMS).unlink()
    evidence = where / EVIDENCE
    evidence.write_bytes(evidence.read_bytes()[:-40])
    capsys.readouterr()
    assert invoke(["verify", str(where)]) == 12
    assert "half a line" in capsys.readouterr().out
    assert invoke(["judge", str(where)]) == 12


def test_no_evidence_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["verify", str(tmp_path)]) == 2
    assert invoke(["judge", str(tmp_path)]) == 2
    assert "name a folder that a run wrote" in capsys.readouterr().err


COMPLETE = End(how="complete")


@pytest.mark.parametrize(
    ("outcome", "judged", "expected"),
    [
        (Outcome(COMPLETE, [], None, broken=False), 0, 0),
        (Outcome(COMPLETE, [], None, broken=False), 10, 10),
        (Outcome(COMPLETE, [], None, broken=True), 0, 13),
        (Outcome(COMPLETE, [], "bug", broken=False), 0, 1),
        (Outcome(COMPLETE, ["f1"], "bug", broken=True), 0, 14),
        (Outcome(COMPLETE, [], "bug", broken=False), 14, 14),
        (Outcome(COMPLETE, [], None, broken=False), None, 1),
    ],
)
def test_the_worst_wins(outcome: Outcome, judged: int | None, expected: int) -> None:
    result = None if judged is None else Result.model_construct(exit_code=judged)
    assert exit_code(outcome, result) == expected
