"""A whole drill on real MariaDB servers: the primary dies, the replica is promoted, and the primary comes home."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from runkit import World, drill, parts
from stepkit import a_work
from storekit import MariaDb, Pair, mariadb_pair, wait_until

from blackstart.evidence.records import FaultEvent, FaultState, Phase, PhaseStart
from blackstart.judge import judge
from blackstart.report import html
from blackstart.run import supervisor, watch
from blackstart.schema.result import Result

STEPS = {
    "detect": "fault",
    "procedure": [
        {"name": "decide", "wait": 0.1},
        {"name": "promote", "promote": {"store": "orders", "to": "eu"}},
    ],
    "failback_procedure": [
        {"name": "rejoin", "rejoin": {"store": "orders", "region": "us", "diverged": "rebuild"}},
        {"name": "home", "switch_back": {"store": "orders", "to": "us"}},
    ],
}


def run(folder: Path, pair: Pair[MariaDb], monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setattr(watch, "GRACE", 0.1)
    monkeypatch.setattr(supervisor, "GRACE", 0.1)

    def power(_: float, body: Any) -> None:
        match body:
            case PhaseStart(phase=Phase.HOLD):
                pair.us.kill()
            case FaultEvent(state=FaultState.CONFIRMED_REVERTED):
                pair.wire.heal()
                pair.us.start()

    reports = folder / "report"
    reports.mkdir()
    made = parts(World(folder), work=a_work(folder, orders=pair))
    _, lines = asyncio.run(drill(reports, made, power, **STEPS))
    result = judge(lines)
    assert "<h2>Procedure</h2>" in html(result, lines)
    return result


def ids(server: MariaDb) -> set[str]:
    return {row["id"] for row in server.sql("SELECT id FROM shop.orders")}


def test_without_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mariadb_pair(tmp_path) as pair:
        pair.us.insert("w1-0")
        wait_until("replication", lambda: "w1-0" in ids(pair.eu))
        result = run(tmp_path, pair, monkeypatch)
        assert [(step.step, step.outcome) for step in result.steps] == [
            ("decide", "done"),
            ("promote", "done"),
            ("rejoin", "done"),
            ("home", "done"),
        ]
        assert "is a prefix of eu" in result.steps[2].detail
        pair.us.insert("w2-0")
        wait_until("replication", lambda: ids(pair.eu) == {"w1-0", "w2-0"})


def test_with_a_loss_that_is_salvaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mariadb_pair(tmp_path) as pair:
        pair.us.insert("w1-0")
        wait_until("replication", lambda: "w1-0" in ids(pair.eu))
        pair.wire.cut()
        pair.us.insert("w1-1")
        result = run(tmp_path, pair, monkeypatch)
        assert [step.outcome for step in result.steps] == ["done"] * 4
        assert "salvaged 0-1-2 into salvage/orders-us.sql" in result.steps[2].detail
        assert ids(pair.us) == ids(pair.eu) == {"w1-0"}
