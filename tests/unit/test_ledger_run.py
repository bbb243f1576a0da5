"""The ledger in a run: writers and evidence are real, the store is two lists, and each lie has its verdict."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ledgerkit import Shop, a_job, commit, in_a_hurry, refuse
from loopback import http
from runkit import RUN, World, a_fleet, drill, parts
from storekit import wait_until

from blackstart.cli.verify import command as verify_command
from blackstart.evidence.reader import EVIDENCE, write_sums
from blackstart.evidence.records import Body, Check, Line, Note, Phase, PhaseStart, Reason
from blackstart.evidence.written import StoreRead, Writes
from blackstart.judge import judge
from blackstart.ledger import ids
from blackstart.ledger.book import LEDGER
from blackstart.ledger.stores import Holding, Unread, Who
from blackstart.run import supervisor
from blackstart.run.ledger import Keep, keeping
from blackstart.run.parts import Outcome
from blackstart.run.publish import judge_folder
from blackstart.schema.result import Result, Verdict


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_hurry(monkeypatch)


@dataclass
class Two:
    """A store in us and eu. While us is away eu has been promoted; afterwards us follows it.

    `lag`: of every so-manieth write before the loss eu hears nothing.
    """

    world: World
    lag: int = 0
    broken: bool = False
    us: list[str] = field(default_factory=list)
    eu: list[str] = field(default_factory=list)
    promoted: bool = False

    def write(self, shop: Shop, write: str) -> bytes:
        self._look()
        if self.promoted:
            self.eu.append(write)
            return http({"committed": True, "region": "eu", "pod": "order-2"})
        self.us.append(write)
        if not self.broken and not (self.lag and len(self.us) % self.lag == 0 and self.begun()):
            self.eu.append(write)
        return http({"committed": True, "region": "us", "pod": "order-1"})

    def begun(self) -> bool:
        return (self.world.folder / "lagging").exists()

    def read(self, store: str, member: str) -> Holding:
        self._look()
        if member == "us" and self.world.down.exists():
            raise Unread(Reason.REFUSED, "us is away")
        rows = self.eu if member == "eu" or self.promoted else self.us
        return Holding(Who(f"server {member}", (member == "eu") == self.promoted), {"orders": list(rows)})

    def _look(self) -> None:
        self.promoted = self.promoted or self.world.down.exists()


@dataclass
class Ran:
    outcome: Outcome
    lines: list[Line]
    folder: Path

    def of[B: Body](self, kind: type[B]) -> list[B]:
        return [line.body for line in self.lines if isinstance(line.body, kind)]

    @property
    def result(self) -> Result:
        return judge(self.lines)

    def check(self, name: str) -> Check:
        return next(c for c in self.of(Check) if c.name == name)

    @property
    def notes(self) -> str:
        return "\n".join(note.text for note in self.of(Note))


def run(
    tmp_path: Path,
    two: Two,
    behave: Callable[[Shop, str], bytes | None] | None = None,
    read: Callable[[str, str], Holding] | None = None,
    listener: Callable[[float, Any], None] | None = None,
) -> Ran:
    folder = tmp_path / "report"
    folder.mkdir()
    shop = Shop(behave or two.write)
    with shop.server:
        job = a_job(folder, shop.url, service="user-service", run=ids.short(RUN), interval=0.05, timeout=2.0)
        keep: Keep = keeping(job, a_fleet().stores, read or two.read)
        outcome, lines = asyncio.run(
            drill(
                folder,
                parts(two.world, ledger=keep),
                listener,
                ledger={"service": "frontend", "writers": 5, "interval": 0.05, "timeout": 2.0},
                objectives=[
                    {"kind": "rto", "service": "frontend", "objective": 30.0},
                    {"kind": "lost-writes", "service": "frontend", "objective": 0},
                    {"kind": "rpo", "service": "frontend", "objective": 2.0},
                ],
                phases={"baseline": 2.5, "inject": 5.0, "hold": 2.5, "undo": 5.0, "failback": 5.0, "settle": 0.0},
            )
        )
    return Ran(outcome, lines, folder)


def at_hold(do: Callable[[], None]) -> Callable[[float, Any], None]:
    def hear(_: float, body: Any) -> None:
        if isinstance(body, PhaseStart) and body.phase is Phase.HOLD:
            do()

    return hear


def after_baseline(do: Callable[[], None]) -> Callable[[float, Any], None]:
    def hear(_: float, body: Any) -> None:
        if isinstance(body, PhaseStart) and body.phase is Phase.INJECT:
            do()

    return hear


def reasons(ran: Ran) -> str:
    return "\n".join(ran.result.reasons)


def test_a_drill_that_loses_nothing(tmp_path: Path) -> None:
    two = Two(World(tmp_path))
    ran = run(tmp_path, two)
    assert ran.outcome.end.how == "complete", ran.notes
    assert ran.check("baseline/ledger/db/eu/orders").ok
    reads = {(r.moment, r.member): r for r in ran.of(StoreRead)}
    assert reads["failover", "us"].no_data is Reason.REFUSED
    eu = reads["failover", "eu"]
    assert eu.writable
    assert (eu.lost.count, eu.phantom) == (0, 0)
    assert 0 < eu.acknowledged < reads["failback", "eu"].acknowledged
    assert reads["failback", "us"].digest == reads["failback", "eu"].digest
    assert ran.check("completeness/user-service/db@us").ok
    assert ran.result.verdict is Verdict.PASS, reasons(ran)
    # The writers rested for the read after the failover, and ended with a sealed file.
    states = [w.state for w in ran.of(Writes)]
    assert "paused" in states
    assert states[-1] == "stopped"


def test_exactly_what_was_not_replicated_is_lost(tmp_path: Path) -> None:
    two = Two(World(tmp_path), lag=3)

    def lag() -> None:
        (tmp_path / "lagging").touch()
        before = len(two.us)
        wait_until("writes that do not get to eu", lambda: len(two.us) > before + 10)

    ran = run(tmp_path, two, listener=after_baseline(lag))
    truth = set(two.us) - set(two.eu)
    assert truth
    eu = next(r for r in ran.of(StoreRead) if r.moment == "failover" and r.member == "eu")
    assert eu.lost.count == len(truth)
    assert {w.id for w in eu.examples} <= truth
    assert {w.by for w in eu.examples} == {"us/order-1"}
    assert ran.result.verdict is Verdict.FAIL
    assert "acknowledged writes lost" in ran.result.sentence
    assert ran.result.score
    assert ran.result.score.low <= 39
    back = [r for r in ran.of(StoreRead) if r.moment == "failback"]
    assert all((r.lost.count, r.new.count) == (len(truth), 0) for r in back)


@pytest.mark.parametrize("behave", [refuse, lambda shop, write: None, lambda shop, write: b"noise\r\n\r\n"])
def test_writers_that_nobody_acknowledges_are_a_bad_baseline(
    tmp_path: Path, behave: Callable[[Shop, str], bytes | None]
) -> None:
    ran = run(tmp_path, Two(World(tmp_path)), behave)
    assert ran.outcome.end.how == "refused"
    assert ran.check("baseline/ledger/user-service").ok is False
    assert ran.result.verdict is Verdict.INVALID
    assert not (tmp_path / "down").exists()
    assert Phase.INJECT not in [p.phase for p in ran.of(PhaseStart)]


def test_replication_that_is_broken_before_the_drill_is_a_bad_baseline(tmp_path: Path) -> None:
    ran = run(tmp_path, Two(World(tmp_path), broken=True))
    assert ran.outcome.end.how == "refused"
    assert ran.result.verdict is Verdict.INVALID
    check = ran.check("baseline/ledger/db/eu/orders")
    assert check.ok is False
    assert "replication is broken" in check.detail


def test_a_service_that_never_writes_is_a_bad_baseline(tmp_path: Path) -> None:
    """It acknowledges, and no store has anything: a wrong SELECT looks the same."""
    two = Two(World(tmp_path))
    ran = run(tmp_path, two, commit)
    assert ran.outcome.end.how == "refused"
    assert ran.check("baseline/ledger/db/us/orders").ok is False


def test_a_store_that_cannot_be_read_is_a_bad_baseline(tmp_path: Path) -> None:
    def deny(store: str, member: str) -> Holding:
        raise Unread(Reason.UNAUTHORISED, "Access denied")

    ran = run(tmp_path, Two(World(tmp_path)), read=deny)
    assert ran.outcome.end.how == "refused"
    assert ran.check("baseline/ledger/db/us").ok is None


def test_acknowledged_without_writing_after_the_failover_is_a_loss(tmp_path: Path) -> None:
    two = Two(World(tmp_path))

    def lie_later(shop: Shop, write: str) -> bytes:
        if two.world.down.exists():
            return http({"committed": True, "region": "eu"})
        return two.write(shop, write)

    ran = run(tmp_path, two, lie_later)
    assert ran.result.verdict is Verdict.FAIL
    eu = next(r for r in ran.of(StoreRead) if r.moment == "failover" and r.member == "eu")
    assert eu.lost.count > 0
    assert {w.by for w in eu.examples} == {"eu"}


def test_nobody_promoted_is_inconclusive(tmp_path: Path) -> None:
    two = Two(World(tmp_path))

    def never(store: str, member: str) -> Holding:
        found = two.read(store, member)
        return Holding(Who(found.who.server, member == "us"), found.ids)

    ran = run(tmp_path, two, read=never)
    assert ran.result.verdict is Verdict.INCONCLUSIVE
    assert "after the failover: no member takes writes; us: refused (us is away)" in reasons(ran)


def test_the_dead_primarys_data_in_place_of_the_new_ones_is_not_believed(tmp_path: Path) -> None:
    """Both addresses lead to one server."""
    two = Two(World(tmp_path))

    def misled(store: str, member: str) -> Holding:
        if not two.world.down.exists():
            return two.read(store, member)
        return Holding(Who("server us", writable=True), {"orders": list(two.us)})

    ran = run(tmp_path, two, read=misled)
    assert ran.result.verdict is Verdict.INCONCLUSIVE
    assert "answered by the same server" in reasons(ran)


@pytest.mark.parametrize("when", ["during the hold", "right before the end"])
def test_a_ledger_that_is_cut_during_the_run_is_never_green(tmp_path: Path, when: str) -> None:
    two, path = Two(World(tmp_path)), tmp_path / "report" / LEDGER

    def cut() -> None:
        os.truncate(path, path.stat().st_size // 2)

    def hear(_: float, body: Any) -> None:
        phase = Phase.HOLD if when == "during the hold" else Phase.SETTLE
        if isinstance(body, PhaseStart) and body.phase is phase:
            cut()

    ran = run(tmp_path, two, listener=hear)
    assert ran.outcome.end.how == "complete"
    assert ran.result.verdict is Verdict.INCONCLUSIVE
    assert LEDGER in reasons(ran)
    assert re.search("cut|not as they were written|no line", reasons(ran))


def test_writers_that_are_killed_are_told_of_and_never_green(tmp_path: Path) -> None:
    two = Two(World(tmp_path))

    def kill() -> None:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        for pid in children:
            if b"blackstart.ledger.writers" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(int(pid), signal.SIGKILL)

    ran = run(tmp_path, two, listener=at_hold(kill))
    assert ran.outcome.end.how == "complete"
    assert not ran.outcome.outstanding
    assert "ended by themselves (exit code -9)" in ran.notes
    assert ran.result.verdict is Verdict.INCONCLUSIVE
    assert "did not end in order" in reasons(ran)
    # What they had written before is compared all the same.
    assert [r for r in ran.of(StoreRead) if r.moment == "failback" and not r.no_data]


def test_a_slow_read_does_not_keep_the_undo_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "READ_BACK", 0.5)
    two = Two(World(tmp_path))

    def slow(store: str, member: str) -> Holding:
        if two.world.down.exists():
            subprocess.run(["sleep", "5"], check=True)
        return two.read(store, member)

    ran = run(tmp_path, two, read=slow)
    times = {line.body.phase: line.t for line in ran.lines if isinstance(line.body, PhaseStart)}
    assert times[Phase.UNDO] - times[Phase.HOLD] < 2.5 + 0.5 + 1.5
    assert ran.result.verdict is Verdict.INCONCLUSIVE
    assert "after the failover: was not read" in reasons(ran)


def test_the_same_evidence_gives_the_same_result(tmp_path: Path) -> None:
    ran = run(tmp_path, Two(World(tmp_path)))
    (ran.folder / LEDGER).unlink()
    assert judge(ran.lines) == ran.result


def test_judged_again_beside_another_ledger_it_is_in_doubt(tmp_path: Path) -> None:
    ran = run(tmp_path, Two(World(tmp_path)))
    assert judge_folder(ran.folder)[0] == ran.result
    path = ran.folder / LEDGER
    os.truncate(path, path.stat().st_size // 2)
    again = judge_folder(ran.folder)[0]
    assert again.verdict is not Verdict.PASS
    assert any(f"ledger: {LEDGER}: " in reason and "it was cut" in reason for reason in again.reasons)
    path.unlink()
    assert judge_folder(ran.folder)[0].verdict is not Verdict.PASS


def test_verify_finds_a_changed_ledger_though_the_sums_were_written_again(tmp_path: Path) -> None:
    ran = run(tmp_path, Two(World(tmp_path)))
    write_sums(ran.folder)
    good = CliRunner().invoke(verify_command, [str(ran.folder)], standalone_mode=False)
    assert good.return_value == 0, good.output
    path = ran.folder / LEDGER
    path.write_bytes(path.read_bytes().replace(b'"result":"ok"', b'"result":"failed"', 1))
    write_sums(ran.folder)
    bad = CliRunner().invoke(verify_command, [str(ran.folder)], standalone_mode=False)
    assert bad.return_value == 12
    assert f"{LEDGER}: its first" in bad.output
    assert (ran.folder / EVIDENCE).exists()
