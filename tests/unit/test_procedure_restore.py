"""The step `restore` on an API server and a bucket in memory: what it proves, what it refuses, what it leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from restorekit import VELERO, production
from restorerig import BACKUPS, RUN, Rig, a_rig

from blackstart.evidence.records import FaultEvent, FaultState
from blackstart.faults.backing_up import fresh_name
from blackstart.faults.base import Conflict
from blackstart.faults.marks import LABEL
from blackstart.procedures import restoring
from blackstart.procedures.base import NotExecuted, StepError
from blackstart.schema.errors import BlackstartError


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with a_rig(tmp_path) as found:
        yield found


def test_a_restore_is_proven_timed_and_taken_away(rig: Rig) -> None:
    said = rig.do()
    assert said == "backup nightly: 4 objects proven in production-dr"
    record = rig.record
    assert (record.phase, record.brought, record.schedule, record.problem) == ("Completed", "posted", "nightly", "")
    moments = [record.begun, record.present, record.created, record.ended, record.ready, record.serving]
    assert None not in moments
    assert moments == sorted(moment for moment in moments if moment is not None)
    (made,) = rig.velero.restores
    assert made["metadata"]["labels"] == {LABEL: RUN}
    assert made["spec"]["namespaceMapping"] == {"production": "production-dr"}
    namespace = rig.api.objects["/api/v1/namespaces/production-dr"]
    assert namespace["metadata"]["labels"] == {LABEL: RUN, "team": "shop"}
    posted = rig.api.objects[f"/apis/velero.io/v1/namespaces/{VELERO}/backups/nightly"]
    assert posted["status"]["phase"] == "Completed"
    assert posted["metadata"]["labels"]["velero.io/storage-location"] == "default"
    assert rig.put_back() == []
    assert rig.left() == []
    states = [body.state for body in rig.told if isinstance(body, FaultEvent)]
    assert states == [
        FaultState.ARMED,
        FaultState.APPLIED,
        FaultState.CONFIRMED,
        FaultState.REVERTED,
        FaultState.CONFIRMED_REVERTED,
    ]
    assert rig.put_back() == []


def test_no_secret_gets_into_the_evidence(rig: Rig) -> None:
    rig.velero.spoil = lambda kind, body: (
        body.get("data", {}).update(password="c2VjcmV0") if kind == "secrets" else None
    )
    with pytest.raises(StepError, match="secrets production-dr/login differs: data"):
        rig.do()
    told = " ".join(body.model_dump_json() for body in rig.told)
    assert "c2VjcmV0" not in told
    assert "aHVudGVyMg" not in told


def test_completed_with_warnings_is_not_proof(rig: Rig) -> None:
    rig.velero.warnings.append(
        "could not restore, ConfigMap:settings already exists. Warning: the in-cluster version"
    )
    with pytest.raises(StepError, match="Velero warns"):
        rig.do()
    assert rig.record.phase == "Completed"


def test_something_that_completed_and_is_not_there(rig: Rig) -> None:
    rig.velero.skip = lambda kind, body: kind == "secrets"
    with pytest.raises(StepError, match="secrets production-dr/login missing"):
        rig.do()


def test_a_restore_into_another_namespace(rig: Rig) -> None:
    rig.velero.elsewhere = "production"
    with pytest.raises(StepError, match="not ready: deployment production-dr/web"):
        rig.do(deadline=0.5)
    assert any("another namespace" in text for text in rig.record.objections)
    assert rig.record.tallies["secrets"].missing == 1


def test_an_empty_backup(rig: Rig) -> None:
    rig.bucket.put("nothing", production()[:2], at="2026-01-02T00:00:00Z")
    with pytest.raises(StepError, match="nothing of namespace 'production'"):
        rig.do(backup="nothing")
    assert rig.record.backup == "nothing"


def test_partially_failed_says_what_velero_says(rig: Rig) -> None:
    rig.velero.phase = "PartiallyFailed"
    rig.velero.errors.append("services: port is already allocated")
    with pytest.raises(StepError, match="Velero says PartiallyFailed; Velero: services: port"):
        rig.do()
    assert rig.record.ready is None


@pytest.mark.parametrize("spoil", ["missing", "cut"])
def test_a_tarball_that_cannot_be_read_makes_nothing(rig: Rig, spoil: str) -> None:
    key = "backups/nightly/nightly.tar.gz"
    if spoil == "missing":
        del rig.bucket.content[key]
    else:
        rig.bucket.content[key] = rig.bucket.content[key][:-20]
    with pytest.raises(StepError, match="nightly"):
        rig.do()
    assert (rig.velero.restores, rig.left(), rig.work.undo.read(RUN).latest) == ([], [], {})


def test_a_bucket_that_is_away_makes_nothing(rig: Rig) -> None:
    rig.bucket.away = True
    with pytest.raises(BlackstartError, match="bucket does not answer"):
        rig.do()
    assert (rig.velero.restores, rig.left()) == ([], [])
    assert "bucket does not answer" in rig.record.problem


def test_a_namespace_of_somebody_else_is_left_alone(rig: Rig) -> None:
    theirs = {"metadata": {"name": "production-dr", "uid": "u", "resourceVersion": "1", "labels": {"team": "x"}}}
    rig.api.objects["/api/v1/namespaces/production-dr"] = theirs
    before = json.dumps(theirs)
    with pytest.raises(StepError, match="this run did not make it"):
        rig.do()
    assert json.dumps(theirs) == before
    assert (rig.velero.restores, rig.work.undo.read(RUN).latest) == ([], {})


def test_somebody_s_namespace_in_the_place_of_ours_is_a_conflict(rig: Rig) -> None:
    rig.do()
    rig.api.objects["/api/v1/namespaces/production-dr"]["metadata"]["labels"] = {"team": "x"}
    assert rig.put_back() == ["restored-1"]
    assert "/api/v1/namespaces/production-dr" in rig.api.objects
    conflicts = [body for body in rig.told if isinstance(body, FaultEvent) and body.state is FaultState.CONFLICT]
    assert "left alone" in conflicts[-1].detail


def test_waiting_for_velero_to_notice_a_backup(rig: Rig) -> None:
    with pytest.raises(StepError, match="does not know backup 'nightly' yet"):
        rig.do(deadline=0.3, sync="wait")
    assert rig.left() == []
    path = f"/apis/velero.io/v1/namespaces/{VELERO}/backups/nightly"
    rig.api.objects[path] = json.loads(rig.bucket.content["backups/nightly/velero-backup.json"])
    rig.do(sync="wait")
    assert rig.record.brought == "there"


def test_a_backup_that_cannot_be_used(rig: Rig) -> None:
    rig.bucket.put("half", production(), phase="PartiallyFailed")
    rig.bucket.put("other", production(), namespaces=["staging"])
    for name, says in (
        ("none", "backup 'none' is not in the bucket"),
        ("half", "'half' is PartiallyFailed"),
        ("other", "'other' does not hold production"),
        ("fresh", "is not in the bucket"),
    ):
        with pytest.raises(StepError, match=says):
            rig.do(backup=name)
    assert rig.velero.restores == []


def test_the_newest_is_one_that_the_region_knows_and_the_bucket_has(rig: Rig) -> None:
    with pytest.raises(StepError, match="standby knows no completed backup"):
        rig.do(backup="newest")
    for name, at, labels in (
        ("older", "2026-01-01T00:00:00Z", {"velero.io/schedule-name": "nightly"}),
        ("by-hand", "2026-01-03T00:00:00Z", {}),
        ("lost", "2026-01-05T00:00:00Z", {}),
    ):
        rig.bucket.put(name, production(), at=at, labels=labels)
        rig.known(name)
    rig.bucket.put("half", production(), at="2026-01-06T00:00:00Z", phase="PartiallyFailed")
    rig.known("half")
    del rig.bucket.content["backups/lost/velero-backup.json"]
    with pytest.raises(StepError, match="backup 'lost' is not in the bucket"):
        rig.do(backup="newest")
    del rig.api.objects[f"{BACKUPS}/lost"]
    rig.do(backup="newest")
    assert rig.record.backup == "by-hand"
    rig.put_back()
    rig.do(backup="newest-scheduled")
    assert (rig.record.backup, rig.record.brought) == ("older", "there")


def test_the_fresh_one_is_the_run_s_own(rig: Rig) -> None:
    rig.bucket.put(fresh_name(RUN, "production"), production(), at="2025-01-01T00:00:00Z")
    rig.do(backup="fresh")
    assert rig.record.backup == fresh_name(RUN, "production")


@pytest.mark.parametrize("point", ["armed", "slip", "namespaces", "created"])
def test_killed_at_any_point_nothing_is_left(rig: Rig, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def strike(name: str) -> None:
        if name == f"restore.{point}":
            raise Killed

    monkeypatch.setattr(restoring, "failpoint", strike)
    with pytest.raises(Killed):
        rig.do()
    assert rig.work.undo.read(RUN).outstanding
    assert rig.put_back() == []
    assert rig.left() == []


def test_a_restore_that_velero_does_not_let_go_of_loses_its_finalizer(rig: Rig) -> None:
    rig.do()
    (path,) = [path for path in rig.api.objects if "/restores/" in path]
    held = rig.api.objects[path]
    held["metadata"]["finalizers"] = ["restores.velero.io/external-resources-finalizer"]
    collect = rig.api.collect

    def kept(gone: str) -> None:
        if gone == path and held["metadata"].get("finalizers"):
            held["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        else:
            collect(gone)

    rig.api.collect = kept  # type: ignore[method-assign]  # a Velero that is dead
    rig.api.fail = lambda method, where: collect(path) if not held["metadata"].get("finalizers") else None  # type: ignore[func-returns-value]
    assert rig.put_back() == []
    assert rig.left() == []


def test_a_run_that_ends_early_is_not_waited_for(rig: Rig) -> None:
    rig.work = replace(rig.work, stopped=lambda: True)
    with pytest.raises(NotExecuted, match="the run ended early"):
        rig.do(sync="wait", deadline=60.0)


def test_a_fence_keeps_it_from_making_anything(rig: Rig) -> None:
    def lost(regions: object) -> None:
        raise Conflict("the guardian has taken over")

    rig.work = replace(rig.work, fence=lost)
    with pytest.raises(Conflict):
        rig.do()
    assert (rig.velero.restores, "/api/v1/namespaces/production-dr" in rig.api.objects) == ([], False)
    assert rig.put_back() == []


def test_node_ports_of_a_copy_are_given_up(rig: Rig) -> None:
    rig.do()
    (made,) = rig.velero.restores
    slip = rig.api.objects[f"/api/v1/namespaces/{VELERO}/configmaps/{made['spec']['resourceModifier']['name']}"]
    (rule,) = json.loads(slip["data"]["rules"])["resourceModifierRules"]
    assert rule["conditions"] == {
        "groupResource": "services",
        "namespaces": ["production"],
        "resourceNameRegex": "^web$",
    }
    assert "nodePort" not in rule["mergePatches"][0]["patchData"]


def test_everything_that_the_fleet_has_there(rig: Rig) -> None:
    rig.do(namespaces={}, tier=0)
    assert rig.record.namespaces == {"production": "production-dr"}
    rig.put_back()
    assert "nothing to restore" in rig.do(namespaces={}, tier=3)
