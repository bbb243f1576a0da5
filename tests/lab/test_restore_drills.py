"""Drills that restore backups, on real clusters with a real Velero."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from datalab import eventually, everywhere, placed, table_sizes
from labdrill import ROOT, Ran, chaos, run_drill, settle
from restorelab import known, left

from blackstart.evidence.reader import EVIDENCE, verify
from blackstart.evidence.undo import Store
from blackstart.fleet.model import Fleet
from blackstart.schema.result import Verdict
from blackstart.schema.result_restores import RestoreResult


@pytest.fixture(autouse=True)
def nothing_left(backups: Fleet) -> Iterator[None]:
    settle(backups)
    yield
    settle(backups)
    for name in backups.regions:
        assert left(backups, name) == []


def drill(name: str, fleet: Fleet, folder: Path, settings: dict[str, str] | None = None) -> Ran:
    return run_drill(name, fleet.source or Path(), folder / "out", settings=settings, deadline=400)


def passed(ran: Ran) -> RestoreResult:
    assert (ran.result.verdict, ran.code) == (Verdict.PASS, 0), ran.output
    assert all(fault.confirmed_reverted for fault in ran.result.faults)
    assert verify(ran.folder / EVIDENCE).problem is None
    found = ran.result.restores[0]
    print(found.model_dump_json(indent=1))
    return found


@pytest.mark.full
def test_a_fresh_backup_is_restored_and_proven(backups: Fleet, tmp_path: Path) -> None:
    found = passed(drill("backup-restore", backups, tmp_path))
    assert found.brought == "posted"
    assert {kind.kind for kind in found.kinds} >= {"deployments.apps", "services", "secrets", "configmaps"}
    assert (found.objections, found.unknown, found.objects) == ([], [], [])


def test_a_fresh_backup_is_restored_with_its_database_dump(backups: Fleet, tmp_path: Path) -> None:
    order = placed(backups)
    # An event follows its order a moment later.
    eventually("the order is everywhere", lambda: everywhere(backups, order))
    before = table_sizes(backups, "us")
    found = passed(drill("backup-restore-database", backups, tmp_path))
    assert found.brought == "posted"
    assert {kind.kind for kind in found.kinds} >= {"deployments.apps", "services", "secrets", "configmaps"}
    assert (found.objections, found.unknown, found.objects) == ([], [], [])
    # Nobody writes meanwhile, so the dump is exact.
    assert {each.table: each.rows for each in found.rows} == before
    assert {each.table: each.fewest for each in found.rows} == before
    assert found.dump.startswith("orders/shop-")


@pytest.mark.full
def test_the_newest_scheduled_backup_is_restored_and_proven(backups: Fleet, tmp_path: Path) -> None:
    known(backups)
    found = passed(drill("backup-restore-scheduled", backups, tmp_path))
    assert found.schedule == "production"


@pytest.mark.full
def test_everything_is_restored_tier_by_tier(backups: Fleet, tmp_path: Path) -> None:
    known(backups)
    passed(drill("restore-everything", backups, tmp_path))


def test_a_lost_namespace_is_restored_in_its_place(backups: Fleet, tmp_path: Path) -> None:
    found = passed(drill("namespace-loss", backups, tmp_path))
    assert found.namespaces == {"production-sandbox": "production-sandbox"}


@pytest.mark.full
@pytest.mark.parametrize("experiment", ["backup-loss", "backup-restore", "bucket-loss", "namespace-loss"])
def test_an_experiment_runs_under_plain_chaos(backups: Fleet, tmp_path: Path, experiment: str) -> None:
    env = {**os.environ, "BLACKSTART_FLEET": str(backups.source), "BLACKSTART_STAY": "1"}
    env["BLACKSTART_STATE"] = str(tmp_path / "state")
    path = ROOT / "experiments" / f"{experiment}.yaml"
    chaos(["run", "--journal-path", "journal.json", str(path)], tmp_path, env)
    journal = json.loads((tmp_path / "journal.json").read_text())
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    assert not Store(tmp_path / "state").read().outstanding


def test_without_the_bucket_nothing_can_be_restored(backups: Fleet, tmp_path: Path) -> None:
    known(backups)
    ran = drill("bucket-loss", backups, tmp_path)
    assert (ran.result.verdict, ran.code) == (Verdict.FAIL, 10), ran.output
    (found,) = ran.result.restores
    assert (found.restore_s, found.kinds) == (None, [])
    assert ran.result.objectives[0].met is True
