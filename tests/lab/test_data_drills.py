"""The drills of replicated data on real stores, and whether what they count is what the servers hold."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datadrill import PATHS, acknowledged, as_before, counted_truly, drill, passed, told
from labdrill import content, plain_chaos

from blackstart.fleet.model import Fleet
from blackstart.lab.data import DATABASE
from blackstart.schema.result import Verdict

_MISTAKE = """
from pathlib import Path
from blackstart.lab import native
from blackstart.lab.paths import LabPaths
found = native.load(LabPaths(Path({lab!r}))).region("eu").data
found.sql("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only=0;", 15.0)
found.sql("INSERT INTO shop.orders (request_id) VALUES ('by-mistake')")
"""


@pytest.fixture(autouse=True)
def unchanged(data: Fleet) -> Iterator[None]:
    with as_before(data):
        yield


def test_database_failover_passes_and_counts_truly(data: Fleet, tmp_path: Path) -> None:
    ran = drill("database-failover", data, tmp_path, {"objectives.0.objective": "17s"})
    passed(ran)
    lost = counted_truly(ran)
    print(f"lost {lost} of {len(acknowledged(ran))}; {ran.result.clock}")


def test_what_a_standby_that_is_behind_loses_is_counted_truly(data: Fleet, tmp_path: Path) -> None:
    """The database stops replicating some seconds before its region is lost: that costs more than the objectives."""

    def behind(document: dict[str, Any]) -> None:
        sever: dict[str, Any] = {"type": "action", "name": "the standby gets nothing any more"}
        provider = {"type": "python", "module": "blackstart.activities.faults", "func": "sever_store"}
        sever["provider"] = {**provider, "arguments": {"store": "database", "region": "standby"}}
        document["method"].insert(0, sever)

    content("experiments", "database-failover", tmp_path, behind)
    file = content("drills", "database-failover", tmp_path, lambda _: None)
    ran = drill(str(file), data, tmp_path, {"objectives.0.objective": "17s"})
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), ran.output
    assert {o.kind for o in ran.result.objectives if o.met is False} <= {"rpo", "lost-writes", "rto", "failback"}
    lost = counted_truly(ran)
    assert lost[DATABASE, "orders"] > 0
    print(f"lost {lost} of {len(acknowledged(ran))}")


def test_cache_failover_passes_and_counts_truly(data: Fleet, tmp_path: Path) -> None:
    ran = drill("cache-failover", data, tmp_path, {"objectives.0.objective": "17s"})
    passed(ran)
    lost = counted_truly(ran)
    assert lost[DATABASE, "orders"] == 0
    print(f"lost {lost} of {len(acknowledged(ran))}")


@pytest.mark.full
def test_event_log_passes(data: Fleet, tmp_path: Path) -> None:
    ran = drill("event-log", data, tmp_path, {"objectives.2.objective": "17s"})
    passed(ran)
    for moment in ("failover", "failback"):
        events = told(ran, DATABASE, "events", moment)
        assert (events.reordered, events.duplicated) == (0, 0)
        assert events.ids > 0


@pytest.mark.parametrize(
    "experiment",
    ["cache-failover", *(pytest.param(name, marks=pytest.mark.full) for name in ("event-log", "database-failover"))],
)
def test_an_experiment_runs_under_plain_chaos(data: Fleet, tmp_path: Path, experiment: str) -> None:
    """Nobody promotes: the primaries come back as they were."""
    plain_chaos(experiment, data, tmp_path)


def test_two_sides_that_take_writes_are_a_failure_with_the_writes_named(data: Fleet, tmp_path: Path) -> None:
    """The link is cut, and somebody opens the standby's database without a look at the primary's."""
    script = tmp_path / "open.py"
    script.write_text(_MISTAKE.format(lab=str(PATHS.root)))

    def edit(document: dict[str, Any]) -> None:
        document["drill"] = "split-brain"
        document["experiment"] = "link-loss"
        document["victims"], document["detect"] = [], "fault"
        document["procedure"] = [
            {"name": "both by mistake", "deadline": "30s", "command": [sys.executable, str(script)]}
        ]
        follow = {"store": "database", "region": "standby", "diverged": "rebuild"}
        document["failback_procedure"] = [{"name": "the standby follows", "deadline": "2m", "rejoin": follow}]
        document["objectives"] = [{"kind": "lost-writes", "service": "orders"}]

    content("experiments", "link-loss", tmp_path, _orders)
    file = content("drills", "database-failover", tmp_path, edit)
    named = file.rename(file.with_name("split-brain.yaml"))
    ran = drill(str(named), data, tmp_path, {"phases.hold": "8s"})
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), ran.output
    after = (DATABASE, "orders", "failover", True)
    both = [w for w in ran.result.writes if (w.store, w.record, w.moment, w.writable) == after]
    assert sorted(w.member for w in both) == ["eu", "us"]
    lacks = next(w for w in both if w.member == "eu")
    assert lacks.lost > 0
    assert {write.id for write in lacks.lost_writes} <= acknowledged(ran)
    assert "lost" in ran.output
    assert (ran.folder / "salvage").is_dir()


def _orders(document: dict[str, Any]) -> None:
    for probe in document["steady-state-hypothesis"]["probes"]:
        probe["provider"]["arguments"]["service"] = "orders"
