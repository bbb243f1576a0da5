"""What restores make of a verdict, and what the report says of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from evidence_builder import FLEET, START, T0, UNDONE, WALL, Scene, adding

from blackstart.evidence.records import Body, FaultEvent, FaultState, Interval, Line
from blackstart.evidence.restores import Restored, RestoredObject, Rows, Tally
from blackstart.evidence.steps import StepEvent
from blackstart.judge import judge
from blackstart.report import html, markdown
from blackstart.schema.result import ObjectiveResult, Result, Verdict

STEP = {"backup": "newest", "from": "primary", "to": "standby", "namespaces": {"demo": "demo-dr"}}
OBJECTIVES = [
    {"kind": "rto", "service": "frontend", "objective": "15s"},
    {"kind": "restored", "service": "frontend"},
    {"kind": "restore-rto", "service": "frontend", "objective": "20s"},
    {"kind": "backup-rpo", "service": "frontend", "objective": "1h"},
]
SCENE = Scene(drill={"procedure": [{"name": "restore", "restore": STEP}], "objectives": OBJECTIVES})
BEGUN = (WALL + timedelta(seconds=T0 - 600)).isoformat(timespec="seconds").replace("+00:00", "Z")
GOOD: dict[str, Any] = {
    "step": "restore",
    "source": "us",
    "target": "eu",
    "namespaces": {"demo": "demo-dr"},
    "services": ["user-service"],
    "backup": "nightly",
    "schedule": "nightly",
    "backup_started": BEGUN,
    "brought": "synced",
    "restore": "blackstart-undo-1",
    "phase": "Completed",
    "warnings": 1,
    "begun": START + 15,
    "present": START + 17,
    "created": START + 17.2,
    "ended": START + 18,
    "ready": START + 20,
    "serving": START + 20.5,
    "tallies": {"secrets": Tally(proven=2), "deployments.apps": Tally(proven=1)},
    "left_out": {"pods": 3},
    "answered": ["user-service answers 200 at 10.1.0.9:80"],
}


def events(state: str = "done", **changes: Any) -> list[tuple[float, Body]]:
    """A step with its restore; `state`: how the step ended."""
    step = {"part": "procedure", "step": "restore", "kind": "restore", "by": "machine"}

    def made(state: FaultState, t0: Interval | None = None) -> FaultEvent:
        return FaultEvent(fault="restored-1", kind="restored", target="eu/demo-dr", state=state, t0=t0)

    return [
        (15.0, StepEvent.model_validate({**step, "state": "started"})),
        (17.0, made(FaultState.ARMED)),
        (17.1, made(FaultState.APPLIED)),
        (17.2, made(FaultState.CONFIRMED, Interval(earliest=START + 17, latest=START + 17.2))),
        (21.0, Restored.model_validate({**GOOD, **changes})),
        (21.1, StepEvent.model_validate({**step, "state": state, "detail": changes.get("problem", "")})),
        (UNDONE + 0.5, made(FaultState.REVERTED)),
        (UNDONE + 0.7, made(FaultState.CONFIRMED_REVERTED)),
    ]


def outcome(*told: tuple[float, Body]) -> Result:
    return judge(adding(SCENE, *told))


def objective(result: Result, kind: str) -> ObjectiveResult:
    return next(each for each in result.objectives if each.kind == kind)


def test_a_proven_restore_passes_with_its_times() -> None:
    result = outcome(*events())
    assert (result.verdict, result.reasons) == (Verdict.PASS, [])
    (found,) = result.restores
    assert (found.sync_s, found.restore_s, found.ready_s, found.serving_s, found.total_s) == (2.0, 1.0, 2.0, 0.5, 5.5)
    rto = objective(result, "restore-rto")
    assert rto.measured == pytest.approx(7.5)
    rpo = objective(result, "backup-rpo")
    assert (rpo.low, rpo.high) == (pytest.approx(599.0), pytest.approx(600.02))
    assert objective(result, "restored").measured == 1.0


DUMP = {"prefix": "orders-", "tables": {"shop.orders": 1}}


def lines_with_dump(**changes: Any) -> list[Line]:
    scene = Scene(drill={**SCENE.drill, "procedure": [{"name": "restore", "restore": {**STEP, "dump": DUMP}}]})
    return adding(scene, *events(**changes))


def with_dump(**changes: Any) -> Result:
    return judge(lines_with_dump(**changes))


def test_rows_of_a_dump_are_told() -> None:
    lines = lines_with_dump(dump="orders-1.sql", rows={"shop.orders": Rows(found=1200, fewest=1100)})
    result = judge(lines)
    assert (result.verdict, result.reasons) == (Verdict.PASS, [])
    assert "1200 rows of shop.orders" in objective(result, "restored").detail
    for text in (html(result, lines), markdown(result, lines)):
        assert "orders-1.sql: 1,200 rows of shop.orders (at least 1,100)" in text


def test_a_dump_of_which_nothing_is_written_down_is_no_proof() -> None:
    result = with_dump()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert any("its database dump" in reason for reason in result.reasons)


def test_a_dump_that_nothing_is_known_to_compare_with_is_no_proof() -> None:
    unknown = ["shop.orders: how many rows it had before the backup is not known"]
    result = with_dump(dump="orders-1.sql", rows={"shop.orders": Rows(found=9, fewest=None)}, unknown=unknown)
    assert result.verdict is Verdict.INCONCLUSIVE


def test_what_a_step_made_is_no_fault_but_must_be_gone() -> None:
    result = outcome(*events())
    clock = result.clock["user-service"]
    assert clock.t0
    assert clock.t0.earliest == START + T0
    assert outcome(*events()[:-1]).verdict is Verdict.UNSAFE


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tallies": {"secrets": Tally(proven=1, missing=1)}}, "1 of 2 objects proven, 1 missing"),
        ({"tallies": {"secrets": Tally(proven=1, differs=1)}}, "1 not the same"),
        ({"objections": ["Velero warns: could not restore"]}, "Velero warns"),
        ({"tallies": {}, "objections": ["the backup holds nothing"]}, "nothing was in the backup"),
        ({"tallies": {}, "problem": "the bucket does not answer"}, "the bucket does not answer"),
    ],
)
def test_what_is_not_back_fails(changes: dict[str, Any], says: str) -> None:
    result = outcome(*events("failed", **changes))
    assert result.verdict is Verdict.FAIL
    found = objective(result, "restored")
    assert (found.met, says in found.detail) == (False, True), found.detail
    assert result.score
    assert result.score.breakdown["user-service"]["completeness"].low < 1


def test_a_step_that_calls_itself_done_does_not_make_it_pass() -> None:
    result = outcome(*events("done", tallies={"secrets": Tally(missing=1)}))
    assert result.verdict is Verdict.FAIL


def test_what_was_not_compared_is_not_known() -> None:
    volume = RestoredObject(
        kind="persistentvolumeclaims", name="demo-dr/data", outcome="unproven", detail="its volume"
    )
    tallies = {"persistentvolumeclaims": Tally(unproven=1), "secrets": Tally(proven=9)}
    result = outcome(*events(tallies=tallies, objects=[volume]))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert objective(result, "restored").met is None
    assert outcome(*events(unknown=["web:v1: which digest ran is not known"])).verdict is Verdict.INCONCLUSIVE


def test_a_restore_of_which_nothing_is_written_down_is_not_known() -> None:
    told = [(t, body) for t, body in events() if not isinstance(body, Restored)]
    result = outcome(*told)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert any("no backup of it was restored" in reason for reason in result.reasons)
    bare = Scene(drill={"procedure": SCENE.drill["procedure"], "objectives": OBJECTIVES[:1]})
    assert any("nothing is written down" in reason for reason in judge(adding(bare, *told)).reasons)


def test_a_backup_that_is_too_old_fails() -> None:
    old = (WALL - timedelta(hours=2)).isoformat(timespec="seconds").replace("+00:00", "Z")
    result = outcome(*events(backup_started=old))
    assert result.verdict is Verdict.FAIL
    assert objective(result, "backup-rpo").met is False
    assert outcome(*events(backup_started=None)).verdict is Verdict.INCONCLUSIVE
    assert outcome(*events(backup_started="nonsense")).verdict is Verdict.INCONCLUSIVE


def test_too_slow_a_restore_fails_and_so_does_one_that_never_served() -> None:
    assert outcome(*events(serving=START + 34)).verdict is Verdict.FAIL
    failed = outcome(*events("failed", serving=None, answered=[], ready=None, objections=["not ready: web"]))
    assert (failed.verdict, objective(failed, "restore-rto").met) == (Verdict.FAIL, False)


def test_the_worst_of_several_counts() -> None:
    second = Restored.model_validate({**GOOD, "tallies": {"secrets": Tally(missing=1)}})
    result = outcome(*events(), (22.0, second))
    assert objective(result, "restored").met is False
    assert len(result.restores) == 2


def test_a_tier_with_nothing_to_restore_is_no_restore() -> None:
    nothing = Restored.model_validate(
        {**{key: GOOD[key] for key in ("source", "target", "begun")}, "step": "tier 1", "namespaces": {}}
    )
    result = outcome(*events(), (22.0, nothing))
    assert (result.verdict, len(result.restores)) == (Verdict.PASS, 1)


def test_the_report_shows_objects_times_and_objections() -> None:
    spoilt = RestoredObject(kind="secrets", name="demo-dr/login", outcome="differs", detail="data")
    lines = adding(
        SCENE,
        *events("failed", tallies={"secrets": Tally(proven=1, differs=1)}, objects=[spoilt], problem="not proven"),
    )
    page, summary = html(judge(lines), lines), markdown(judge(lines), lines)
    for text in ("<h2>Restores</h2>", "demo as demo-dr, from us into eu", "secrets demo-dr/login", "Services answer"):
        assert text in page
    assert "made by the drill, nothing was broken" in page
    assert "nightly" in summary
    bare = Scene().lines()
    assert "<h2>Restores</h2>" not in html(judge(bare), bare)


def test_the_scene_is_the_fleet_that_the_step_is_about() -> None:
    assert FLEET["services"]["user-service"]["workloads"]["us"]["namespace"] in GOOD["namespaces"]
