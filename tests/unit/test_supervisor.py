"""The supervisor: whatever the child, a guard, a signal or the disk does, it is put back and told."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from runkit import World, drill, parts

from blackstart.evidence.reader import EVIDENCE, verify
from blackstart.evidence.records import (
    Addresses,
    Check,
    Crossing,
    End,
    FaultEvent,
    GuardTrip,
    Line,
    Note,
    Outstanding,
    Phase,
    PhaseStart,
)
from blackstart.run import crossings, supervisor, watch
from blackstart.run.census import Capacity
from blackstart.run.looks import Wrong
from blackstart.run.parts import Outcome, Parts
from blackstart.run.recorder import Recorder


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake client's batches come at once."""
    monkeypatch.setattr(watch, "GRACE", 0.1)
    monkeypatch.setattr(supervisor, "GRACE", 0.1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(world: World, made: Parts, **changes: object) -> tuple[Outcome, list[Line]]:
    reports = world.folder / "report"
    reports.mkdir()
    result = asyncio.run(drill(reports, made, **changes))  # type: ignore[arg-type]  # drill fields of any type
    assert verify(reports / EVIDENCE).complete
    return result


def test_who_tries_to_cross_is_read_before_the_fault_and_until_it_is_put_back(world: World) -> None:
    def read() -> list[Crossing]:
        looks.append(world.down.exists())
        return [Crossing(by="envoy", place="us", left_out=len(looks))]

    looks: list[bool] = []
    known = Addresses(known=[], missing=["eu: nobody answers"])
    outcome, lines = run(world, parts(world, addresses=lambda: known, crossings=read))
    assert outcome.end.how == "complete"
    assert (looks[0], looks[-1], len(looks) >= 2) == (False, False, True)
    at = [type(line.body).__name__ for line in lines]
    inject = next(n for n, line in enumerate(lines) if line.body == PhaseStart(phase=Phase.INJECT))
    assert at.index("Addresses") < at.index("Crossing") < inject


def test_counters_that_hang_do_not_hold_up_the_undo(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossings, "_PATIENCE", 0.2)
    monkeypatch.setattr(crossings, "EVERY", 0.05)
    outcome, lines = run(world, parts(world, crossings=lambda: time.sleep(5)))
    assert (outcome.end.how, outcome.outstanding) == ("complete", [])
    assert notes(lines).count("who tries to get through the faults cannot be read") == 1


def phases(lines: Iterable[Line]) -> list[Phase]:
    return [line.body.phase for line in lines if isinstance(line.body, PhaseStart)]


def notes(lines: Iterable[Line]) -> str:
    return "\n".join(line.body.text for line in lines if isinstance(line.body, Note))


def left(lines: Iterable[Line]) -> list[list[str]]:
    return [line.body.faults for line in lines if isinstance(line.body, Outstanding)]


def test_a_drill_goes_through_all_phases(world: World) -> None:
    outcome, lines = run(world, parts(world))
    assert phases(lines) == list(Phase)
    assert outcome.end.how == "complete"
    assert left(lines) == [[]]
    checks = {line.body.name: line.body.ok for line in lines if isinstance(line.body, Check)}
    assert checks["completeness/user-service/us"] is True
    assert checks["baseline/user-service/entry/fresh"] is True
    assert isinstance(lines[-1].body, End)
    assert not world.down.exists()


def test_a_refused_preflight_injects_nothing_and_lists_every_failure(world: World) -> None:
    def wrong(text: str) -> str:
        raise Wrong(text)

    looks = {"identity/us": lambda: wrong("another cluster"), "identity/eu": lambda: wrong("no answer")}
    outcome, lines = run(world, parts(world, preflight=looks))
    assert outcome.end.how == "refused"
    assert "another cluster" in outcome.end.detail
    assert "no answer" in outcome.end.detail
    assert phases(lines) == [Phase.PREFLIGHT]
    assert not [line for line in lines if isinstance(line.body, FaultEvent)]


def test_a_check_that_hangs_is_unknown_and_refuses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOOK_DEADLINE", 0.2)
    outcome, _ = run(world, parts(world, preflight={"identity/us": lambda: str(time.sleep(5))}))
    assert outcome.end.how == "refused"
    assert "no answer within 0.2 s" in outcome.end.detail


def test_a_sick_survivor_in_the_baseline_refuses(world: World) -> None:
    world.eu_sick = lambda: True
    outcome, lines = run(world, parts(world))
    assert outcome.end.how == "refused"
    assert "direct/eu" in outcome.end.detail
    assert Phase.INJECT not in phases(lines)


def test_a_silent_client_in_the_baseline_refuses(world: World) -> None:
    world.silent = lambda: True
    outcome, lines = run(world, parts(world))
    assert outcome.end.how == "refused"
    assert "too few to tell" in outcome.end.detail
    assert Phase.INJECT not in phases(lines)


def test_a_child_that_dies_is_recovered(world: World) -> None:
    outcome, lines = run(world, parts(world, "dies"))
    assert "SIGKILL" in notes(lines)
    assert "about to die" in notes(lines)
    assert Phase.HOLD not in phases(lines)
    assert outcome.outstanding == []
    assert left(lines) == [[]]
    states = [line.body.state for line in lines if isinstance(line.body, FaultEvent)]
    assert states[-1] == "confirmed_reverted"
    assert not world.down.exists()


def test_a_child_that_hangs_in_the_method_is_killed_with_its_children_and_recovered(world: World) -> None:
    outcome, lines = run(world, parts(world, "hangs"), phases=a_phases(inject=1.0, undo=0.5))
    assert "not done within 1 s" in notes(lines)
    assert outcome.outstanding == []
    assert not runs((world.folder / "grandchild").read_text())


def test_a_child_that_ignores_the_undo_is_killed_and_recovered(world: World) -> None:
    outcome, lines = run(world, parts(world, "ignores-undo"), phases=a_phases(undo=0.7))
    assert "did not undo within 0.7 s" in notes(lines)
    assert outcome.outstanding == []


def test_what_nobody_can_put_back_is_told(world: World) -> None:
    outcome, lines = run(world, parts(world, "dies", recover="recover-fails"), phases=a_phases(failback=0.5))
    assert outcome.outstanding == ["f1"]
    assert left(lines)[-1] == ["f1"]
    assert "exit code 14" in notes(lines)


def test_a_recover_that_hangs_does_not_block_the_supervisor(world: World) -> None:
    began = time.monotonic()
    outcome, lines = run(
        world, parts(world, "dies", recover="recover-hangs"), phases=a_phases(undo=0.7, failback=0.5)
    )
    assert outcome.outstanding == ["f1"]
    assert "did not end within 0.7 s" in notes(lines)
    assert time.monotonic() - began < 20


def test_an_undo_store_that_cannot_be_read_counts_as_outstanding(world: World) -> None:
    def broken() -> list[str]:
        raise OSError("I/O error")

    outcome, _ = run(world, parts(world, outstanding=broken))
    assert outcome.outstanding[0].startswith("unknown: ")


@pytest.mark.parametrize("mode", ["fails", "ineffective"])
def test_a_fault_that_did_not_bite_is_undone_without_a_hold(world: World, mode: str) -> None:
    outcome, lines = run(world, parts(world, mode))
    assert Phase.HOLD not in phases(lines)
    assert "no hold" in notes(lines)
    assert phases(lines)[-1] is Phase.SETTLE
    assert outcome.outstanding == []


def test_a_guard_ends_the_drill(world: World) -> None:
    world.eu_sick = world.down.exists
    outcome, lines = run(world, parts(world), phases=a_phases(hold=10.0))
    assert outcome.end.how == "aborted"
    assert [line.body.blind for line in lines if isinstance(line.body, GuardTrip)] == [False]
    assert outcome.outstanding == []


def test_blindness_ends_the_drill(world: World) -> None:
    world.silent = world.down.exists
    outcome, lines = run(world, parts(world), phases=a_phases(hold=10.0))
    assert outcome.end.how == "aborted"
    assert [line.body.blind for line in lines if isinstance(line.body, GuardTrip)] == [True]
    assert outcome.outstanding == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_undoes_settles_and_ends(world: World, number: signal.Signals) -> None:
    def twice(_: float, body: object) -> None:
        if isinstance(body, PhaseStart) and body.phase in (Phase.HOLD, Phase.UNDO):
            os.kill(os.getpid(), number)

    outcome, lines = run(world, parts(world), listener=twice, phases=a_phases(hold=10.0))
    assert outcome.end.how == "interrupted"
    assert number.name in outcome.end.detail
    assert "blackstart recover --run" in notes(lines)
    assert phases(lines)[-2:] == [Phase.UNDO, Phase.SETTLE]
    assert outcome.outstanding == []
    assert not world.down.exists()


def test_a_signal_in_the_baseline_injects_nothing(world: World) -> None:
    def on_baseline(_: float, body: object) -> None:
        if isinstance(body, PhaseStart) and body.phase is Phase.BASELINE:
            os.kill(os.getpid(), signal.SIGINT)

    outcome, lines = run(world, parts(world), listener=on_baseline)
    assert outcome.end.how == "interrupted"
    assert Phase.INJECT not in phases(lines)


def test_a_bug_in_the_supervisor_still_undoes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("blackstart.run.guards.Guards.tripped", broken)
    outcome, lines = run(world, parts(world))
    assert outcome.crash is not None
    assert "a bug" in outcome.crash
    assert outcome.end.how == "aborted"
    assert not world.down.exists()
    assert left(lines)[-1] == []


def test_a_listener_that_fails_does_not_stop_the_undo(world: World) -> None:
    def on_hold(_: float, body: object) -> None:
        if isinstance(body, PhaseStart) and body.phase is Phase.HOLD:
            raise RuntimeError("a bug in the display")

    outcome, _ = run(world, parts(world), listener=on_hold)
    assert outcome.crash is not None
    assert outcome.outstanding == []
    assert not world.down.exists()


def test_a_full_disk_undoes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write, reports = os.write, world.folder / "report"
    reports.mkdir()

    def full(fd: int, data: bytes) -> int:
        if world.down.exists() and b'"type":"samples"' in bytes(data):
            raise OSError(28, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(os, "write", full)
    outcome, lines = asyncio.run(drill(reports, parts(world), phases=a_phases(hold=10.0)))
    assert outcome.broken
    assert outcome.end.how == "interrupted"
    assert "No space left" in outcome.end.detail
    assert outcome.outstanding == []
    assert not world.down.exists()
    assert not isinstance(lines[-1].body, End)
    assert verify(reports / EVIDENCE).intact


def test_nothing_is_injected_when_the_evidence_does_not_reach_the_disk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(self: Recorder, deadline: float) -> bool:
        return False

    monkeypatch.setattr(Recorder, "flush", stuck)
    world.folder.joinpath("report").mkdir()
    outcome, _ = asyncio.run(drill(world.folder / "report", parts(world)))
    assert outcome.end.how == "interrupted"
    assert "nothing was injected" in outcome.end.detail


def test_missing_pods_after_the_drill_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FULL_HOUSE", 0.0)
    counts = iter([Capacity(3, 3), Capacity(3, 2)])
    _, lines = run(world, parts(world, census={"user-service/us": lambda: next(counts)}))
    checks = {line.body.name: line.body for line in lines if isinstance(line.body, Check)}
    assert checks["before/user-service/us"].ok is True
    assert checks["completeness/user-service/us"].ok is False
    assert "2 of 3" in checks["completeness/user-service/us"].detail


def test_what_the_drill_left_behind_is_told(world: World) -> None:
    answers = iter(["clean"])
    _, lines = run(world, parts(world, slate={"links/us": lambda: next(answers)}))
    checks = {line.body.name: line.body.ok for line in lines if isinstance(line.body, Check)}
    assert checks["preflight/slate/links/us"] is True
    assert checks["residue/links/us"] is None


def a_phases(**changes: float) -> dict[str, float]:
    return {"baseline": 0.3, "inject": 3.0, "hold": 0.3, "undo": 3.0, "failback": 3.0, "settle": 0.0, **changes}


def runs(pid: str) -> bool:
    """Whether a process is there and no mere zombie."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
