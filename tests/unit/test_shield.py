"""What the supervisor does with its protection: on fakes that succeed unless told otherwise."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from runkit import World, drill, parts
from test_supervisor import a_phases, left, notes, phases

from blackstart.cli.run import exit_code
from blackstart.evidence.records import Check, FaultEvent, Line, Phase, PhaseStart
from blackstart.evidence.undo import Entry, Undo
from blackstart.fleet.lease import Lost
from blackstart.run import supervisor, watch
from blackstart.run.parts import Outcome
from blackstart.run.publish import judge_folder
from blackstart.run.shield import Shielding
from blackstart.safety.protection import Held, Renewable
from blackstart.safety.watched import Job
from blackstart.schema.errors import BlackstartError

LEASE = 3.0


@dataclass
class Thing:
    """A lock or a Lease; `gone` says whether it is lost."""

    name: str
    region: str | None = None
    gone: bool = False
    renewed: int = 0

    def renew(self) -> None:
        self.renewed += 1
        if self.gone:
            raise Lost("the guardian has it")


@dataclass
class Fake:
    """A protection that writes down what it is asked; `fails` raises in a step."""

    fails: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    the_lock: Thing = field(default_factory=lambda: Thing("the lock"))
    the_lease: Thing = field(default_factory=lambda: Thing("the Lease of us/demo", "us"))

    def _step(self, name: str) -> None:
        self.asked.append(name)
        if name in self.fails:
            raise self.fails[name]

    def lock(self) -> Sequence[Renewable]:
        self._step("lock")
        return [self.the_lock]

    def start(self) -> Sequence[Renewable]:
        self._step("start")
        return [self.the_lease]

    def fenced(self) -> Sequence[tuple[str, str]]:
        return [("us", "demo")]

    def end(self) -> None:
        self._step("end")

    def unlock(self) -> None:
        self._step("unlock")


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "GRACE", 0.1)
    monkeypatch.setattr(supervisor, "GRACE", 0.1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "report").mkdir()
    return World(tmp_path)


def run(world: World, made: Shielding, mode: str = "well", recover: str = "recover", **changes: object):  # type: ignore[no-untyped-def]  # as drill
    given = {key: changes.pop(key) for key in ("listener", "latest") if key in changes}
    latest = {"latest": given["latest"]} if "latest" in given else {}
    return asyncio.run(
        drill(
            world.folder / "report",
            parts(world, mode, recover, shielding=made, **latest),  # type: ignore[arg-type]  # fields of Parts
            given.get("listener"),  # type: ignore[arg-type]  # a listener
            lease=LEASE,
            **changes,
        )
    )


def checks(lines: Sequence[Line]) -> dict[str, bool | None]:
    return {line.body.name: line.body.ok for line in lines if isinstance(line.body, Check)}


def code(world: World, outcome: Outcome) -> int:
    return exit_code(outcome, judge_folder(world.folder / "report")[0])


def test_lock_first_guardians_before_the_fault_and_both_gone_in_the_end(world: World) -> None:
    fake = Fake()
    seen: dict[Phase, list[str]] = {}

    def listener(_: float, body: object) -> None:
        if isinstance(body, PhaseStart):
            seen[body.phase] = list(fake.asked)

    _, lines = run(world, Shielding(fake), phases=a_phases(hold=1.5), listener=listener)
    assert fake.asked == ["lock", "start", "end", "unlock"]
    assert seen[Phase.BASELINE] == ["lock"]
    assert seen[Phase.INJECT] == ["lock", "start"]
    assert seen[Phase.FAILBACK] == ["lock", "start", "end"]
    assert fake.the_lock.renewed >= 2
    assert fake.the_lease.renewed >= 1
    assert checks(lines)["preflight/lock"] is True
    assert checks(lines)["baseline/guardians"] is True


def test_another_run_blocks_this_one(world: World) -> None:
    fake = Fake({"lock": Held("us: run x holds it and is alive")})
    outcome, lines = run(world, Shielding(fake))
    assert outcome.end.how == "blocked"
    assert "run x holds it" in outcome.end.detail
    assert phases(lines) == [Phase.PREFLIGHT]
    assert fake.asked == ["lock"]
    assert code(world, outcome) == 15


@pytest.mark.parametrize(("step", "last"), [("lock", Phase.PREFLIGHT), ("start", Phase.BASELINE)])
def test_no_protection_no_drill(world: World, step: str, last: Phase) -> None:
    fake = Fake({step: BlackstartError("no image; see `blackstart guardian-image`")})
    outcome, lines = run(world, Shielding(fake))
    assert outcome.end.how == "refused"
    assert "no image" in outcome.end.detail
    assert phases(lines)[-1] is last
    assert not [line for line in lines if isinstance(line.body, FaultEvent)]
    assert fake.asked[-1] == "unlock"
    assert "end" in fake.asked or step == "lock"


def test_no_watchdog_no_drill(world: World, tmp_path: Path) -> None:
    job = Job(run="r", state=tmp_path, fleet=tmp_path / "fleet.yaml", ttl=LEASE)
    outcome, _ = run(world, Shielding(Fake(), watchdog=(["false"], job)))
    assert outcome.end.how == "refused"
    assert "the watchdog ended or was not ready" in outcome.end.detail


def test_a_real_watchdog_goes_in_peace(world: World, tmp_path: Path) -> None:
    job = Job(run="r", state=tmp_path, fleet=tmp_path / "fleet.yaml", ttl=LEASE)
    argv = [sys.executable, "-m", "blackstart.safety.watchdog"]
    outcome, lines = run(world, Shielding(Fake(), watchdog=(argv, job)))
    assert outcome.end.how == "complete"
    assert checks(lines)["preflight/watchdog"] is True
    assert (world.folder / "report" / "watchdog.log").read_text() == ""


def test_a_lease_that_is_lost_ends_the_drill(world: World) -> None:
    fake = Fake()
    fake.the_lease.gone = True
    outcome, lines = run(world, Shielding(fake), phases=a_phases(hold=10.0))
    assert outcome.end.how == "aborted"
    assert "the Lease of us/demo is lost: the guardian has it" in outcome.end.detail
    assert phases(lines)[-2:] == [Phase.UNDO, Phase.SETTLE]
    assert outcome.outstanding == []
    assert not world.down.exists()
    assert code(world, outcome) == 13


def test_a_lease_that_nothing_needs_is_only_told(world: World) -> None:
    fake = Fake()
    fake.the_lease.gone = True
    outcome, lines = run(world, Shielding(fake, needed=lambda region: False), phases=a_phases(hold=1.5))
    assert outcome.end.how == "complete"
    assert "the Lease of us/demo is lost" in notes(lines)


def test_what_is_lost_while_undoing_is_only_told(world: World) -> None:
    fake = Fake()

    def listener(_: float, body: object) -> None:
        if isinstance(body, PhaseStart) and body.phase is Phase.UNDO:
            fake.the_lock.gone = True

    outcome, lines = run(
        world, Shielding(fake), "ignores-undo", phases=a_phases(undo=1.5, failback=3.0), listener=listener
    )
    assert outcome.end.how == "complete"
    assert "the lock is lost" in notes(lines)


def test_what_is_left_is_left_to_guardians_and_keeps_its_lock(world: World) -> None:
    fake = Fake()
    outcome, lines = run(world, Shielding(fake), "dies", "recover-fails", phases=a_phases(failback=0.5))
    assert outcome.outstanding == ["f1"]
    assert left(lines)[-1] == ["f1"]
    assert fake.asked == ["lock", "start"]
    assert not fake.the_lease.gone
    renewed = fake.the_lease.renewed
    assert renewed <= 3
    assert code(world, outcome) == 14


def test_trouble_at_the_end_is_told(world: World) -> None:
    fake = Fake({"end": BlackstartError("still there: job x"), "unlock": RuntimeError("a bug")})
    outcome, lines = run(world, Shielding(fake))
    assert outcome.end.how == "complete"
    assert "guardians: still there: job x" in notes(lines)
    assert "lock: RuntimeError: a bug" in notes(lines)


def test_what_another_process_put_back_is_in_the_evidence(world: World) -> None:
    undo = Undo(
        run="r", fault="f1", kind="isolate", target="region us", fleet="", clusters={}, data={}, before={}, at=""
    )

    def latest() -> list[Entry]:
        return [Entry(undo=undo, n=4, state="confirmed_reverted", detail="3 pods")]  # type: ignore[arg-type]  # its text

    outcome, lines = run(world, Shielding(Fake()), "dies", "recover-silent", latest=latest)
    assert outcome.outstanding == []
    last = [line.body for line in lines if isinstance(line.body, FaultEvent)][-1]
    assert (last.fault, last.state, last.detail) == ("f1", "confirmed_reverted", "by another process: 3 pods")


def test_a_second_signal_says_how_to_leave_the_undo(world: World) -> None:
    def twice(_: float, body: object) -> None:
        if isinstance(body, PhaseStart) and body.phase in (Phase.HOLD, Phase.UNDO):
            os.kill(os.getpid(), signal.SIGINT)

    _, lines = run(world, Shielding(Fake()), phases=a_phases(hold=10.0), listener=twice)
    assert "SIGINT again: the undo is not skipped; to leave it to the watchdog and the guardians, kill -9" in notes(
        lines
    )
