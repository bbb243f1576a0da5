"""A run on a multi-active store: writers and evidence are real, the sides are lists; each lie has its verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import pytest
import runkit
from ledgerkit import Shop, a_job, in_a_hurry
from loopback import http
from runkit import RUN, World, drill, parts

from blackstart.evidence.records import Reason
from blackstart.evidence.written import Convergence
from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Writes
from blackstart.judge import judge
from blackstart.ledger import ids
from blackstart.ledger.stores import Holding, Unread, Who
from blackstart.run.ledger import keeping
from blackstart.schema.result import Result, Verdict

OTHER = {"us": "eu", "eu": "us"}
_FLEET = runkit.a_fleet()


def active_fleet() -> Fleet:
    store = _FLEET.stores["db"].model_copy(update={"pattern": "multi-active"})
    urls = {side: f"http://127.0.0.1:1/{side}" for side in OTHER}
    service = _FLEET.services["user-service"].model_copy(update={"writes": Writes(urls=urls, place="here")})
    return _FLEET.model_copy(update={"stores": {"db": store}, "services": {"user-service": service}})


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_hurry(monkeypatch)
    monkeypatch.setattr(runkit, "a_fleet", active_fleet)


@dataclass
class Two:
    """Two sides that do not hear of each other while the fault is there.

    `skips`: so many of the writes that wait for eu never come; `changes`: of
    so many the content is another one at eu; `deaf`: eu takes none meanwhile.
    """

    world: World
    skips: int = 0
    changes: int = 0
    deaf: bool = False
    unread: str = ""
    held: dict[str, dict[str, str]] = field(default_factory=lambda: {"us": {}, "eu": {}})
    waiting: dict[str, dict[str, str]] = field(default_factory=lambda: {"us": {}, "eu": {}})
    lock: Lock = field(default_factory=Lock)

    def at(self, side: str) -> Callable[[Shop, str], bytes | None]:
        def write(shop: Shop, name: str) -> bytes:
            apart = self.replicate()
            if self.deaf and side == "eu" and apart:
                return http({"committed": False}, "503 Service Unavailable")
            with self.lock:
                self.held[side][name] = side
                (self.waiting if apart else self.held)[OTHER[side]][name] = side
            return http({"committed": True, "region": side, "pod": "order-1"})

        return write

    def replicate(self) -> bool:
        """Whether the sides are apart; once they are not, each gets what waits for it."""
        with self.lock:
            if self.world.down.exists():
                return True
            for side, waiting in self.waiting.items():
                skips, changes = (self.skips, self.changes) if side == "eu" else (0, 0)
                for i, name in enumerate(list(waiting)[skips:]):
                    self.held[side][name] = "changed" if i < changes else waiting[name]
                waiting.clear()
            return False

    def read(self, store: str, member: str) -> Holding:
        self.replicate()
        if member == self.unread:
            raise Unread(Reason.REFUSED, f"{member} is away")
        with self.lock:
            held = dict(self.held[member])
        return Holding(Who(f"server {member}", True), {"orders": list(held)}, {"orders": held})


def run(
    tmp_path: Path, two: Two, listen: Callable[[float, object], None] | None = None
) -> tuple[Result, Convergence]:
    folder = tmp_path / "report"
    folder.mkdir()
    us, eu = Shop(two.at("us")), Shop(two.at("eu"))
    with us.server, eu.server:
        job = a_job(folder, "", urls={"us": us.url, "eu": eu.url}, service="user-service", run=ids.short(RUN))
        job = job.model_copy(update={"interval": 0.05, "timeout": 2.0})
        keep = keeping(job, active_fleet().stores, two.read, lambda _, region: f"{region}: said", 2.0)
        _, lines = asyncio.run(
            drill(
                folder,
                parts(two.world, ledger=keep),
                listen,
                ledger={"service": "frontend", "writers": 6, "interval": 0.05, "timeout": 2.0},
                # A busy machine is no reason to stop here.
                guards=[{"watch": "survivors", "sustained": 5.0, "blind": 10.0}],
                objectives=[
                    {"kind": "rto", "service": "frontend", "objective": 30.0},
                    {"kind": "convergence", "service": "frontend", "objective": 20.0},
                    {"kind": "lost-writes", "service": "frontend"},
                ],
                phases={"baseline": 2.5, "inject": 5.0, "hold": 2.5, "undo": 5.0, "failback": 5.0, "settle": 0.0},
            )
        )
    told = [line.body for line in lines if isinstance(line.body, Convergence)]
    return judge(lines), told[-1] if told else Convergence(store="", record="", members=[])


def test_both_sides_that_agree_again_pass(tmp_path: Path) -> None:
    two = Two(World(tmp_path))
    result, told = run(tmp_path, two)
    assert result.verdict is Verdict.PASS, result.reasons
    assert (told.different, sorted(told.members)) == (0, ["eu", "us"])
    assert two.held["us"] == two.held["eu"]
    apart = [w for w in result.writes if w.moment == "failover"]
    assert all(w.lost > 0 and w.awaited for w in apart)


@pytest.mark.parametrize("lie", [{"skips": 2}, {"changes": 2}])
def test_what_is_not_the_same_on_both_sides_is_named(tmp_path: Path, lie: dict[str, int]) -> None:
    two = Two(World(tmp_path), **lie)
    result, told = run(tmp_path, two)
    truth = {name for name, what in two.held["us"].items() if two.held["eu"].get(name) != what}
    assert truth
    assert result.verdict is Verdict.FAIL, result.reasons
    assert {each.id for each in told.examples} == truth
    assert told.replication == ["us: said", "eu: said"]
    assert any(name in result.sentence for name in truth)


def test_a_side_that_took_no_writes_is_never_green(tmp_path: Path) -> None:
    result, told = run(tmp_path, Two(World(tmp_path), deaf=True))
    assert told.different == 0
    assert result.verdict is not Verdict.PASS
    assert "at the entry of eu between T0 and the undo" in "\n".join(result.reasons)


def test_a_side_that_cannot_be_read_at_the_end_is_never_green(tmp_path: Path) -> None:
    two = Two(World(tmp_path))

    def lose(_: float, body: object) -> None:
        if getattr(body, "phase", "") == "settle":
            two.unread = "eu"

    result, told = run(tmp_path, two, lose)
    assert told.members == ["us"]
    assert result.verdict is Verdict.INCONCLUSIVE, result.reasons
    assert "eu" in told.unread[0]
