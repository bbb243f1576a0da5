"""What the steps of a procedure make of a verdict, and whose the recovery time was."""

from __future__ import annotations

from typing import Any

from evidence_builder import Scene, adding

from blackstart.evidence.records import Body
from blackstart.evidence.steps import StepEvent
from blackstart.judge import judge
from blackstart.report import html, junit, markdown
from blackstart.schema.result import Result, Verdict

STEPS = [
    {"name": "decide", "wait": 0.2},
    {"name": "promote orders", "promote": {"store": "orders", "to": "standby"}},
]
HOME = [{"name": "go home", "switch_back": {"store": "orders", "to": "primary"}}]


def event(t: float, step: str, state: str, part: str = "procedure", detail: str = "") -> tuple[float, Body]:
    kind, by = {"decide": ("wait", "person"), "go home": ("switch_back", "machine")}.get(step, ("promote", "machine"))
    record: dict[str, Any] = {"part": part, "step": step, "kind": kind, "by": by, "state": state, "detail": detail}
    return t, StepEvent.model_validate(record)


WELL = [
    event(13.3, "decide", "started"),
    event(13.5, "decide", "done"),
    event(13.5, "promote orders", "started"),
    event(13.9, "promote orders", "done", detail="0 lost"),
    event(38.0, "go home", "started", "failback"),
    event(39.0, "go home", "done", "failback"),
]
SCENE = Scene(drill={"procedure": STEPS, "failback_procedure": HOME})


def outcome(*events: tuple[float, Body], scene: Scene = SCENE) -> Result:
    return judge(adding(scene, *events))


def test_the_recovery_time_is_split_and_adds_up() -> None:
    result = outcome(*WELL)
    assert result.verdict is Verdict.PASS
    clock = result.clock["user-service"]
    assert clock.split
    assert clock.split.model_dump() == {"detect_s": 0.3, "decide_s": 0.2, "promote_s": 0.4, "propagate_s": 0.304}
    assert clock.recovered_s == 1.204
    assert [(step.started_s, step.duration_s) for step in result.steps] == [(0.3, 0.2), (0.5, 0.4), (25.0, 1.0)]


def test_without_recovery_nothing_propagated() -> None:
    result = outcome(*WELL, scene=Scene(outage=60, drill={"procedure": STEPS, "failback_procedure": HOME}))
    split = result.clock["user-service"].split
    assert split
    assert split.propagate_s is None


def test_steps_after_the_recovery_took_none_of_it() -> None:
    late = [event(t + 10, x.step, x.state, x.part) for t, x in WELL[:4] if isinstance(x, StepEvent)]
    split = outcome(*late, *WELL[4:]).clock["user-service"].split
    assert split
    assert split.model_dump() == {"detect_s": 1.204, "decide_s": 0.0, "promote_s": 0.0, "propagate_s": 0.0}


def test_a_failed_step_is_a_fail_however_well_clients_fared() -> None:
    failed = event(13.9, "promote orders", "failed", detail="the relay log is not applied")
    result = outcome(*WELL[:3], failed, *WELL[4:])
    assert result.verdict is Verdict.FAIL
    assert result.sentence.startswith("The procedure failed: procedure: the step 'promote orders' failed: the relay")
    assert 'failures="1"' in junit(result)


def test_steps_after_a_failed_one_do_not_make_it_inconclusive() -> None:
    failed = event(13.5, "decide", "failed", detail="x")
    result = outcome(WELL[0], failed, event(13.5, "promote orders", "not_executed"), *WELL[4:])
    assert result.verdict is Verdict.FAIL
    assert [step.outcome for step in result.steps] == ["failed", "not_executed", "done"]


def test_what_nobody_did_is_not_rehearsed() -> None:
    for events in (WELL[:5], WELL[:2] + WELL[4:], [], [*WELL[:3], *WELL[4:]]):
        assert outcome(*events).verdict is Verdict.INCONCLUSIVE
    result = outcome(*WELL[:4], event(38.0, "go home", "not_executed", "failback", "nobody confirmed it"))
    assert "failback: the step 'go home' was not executed: nobody confirmed it" in result.reasons
    assert 'errors="2"' in junit(result)


def test_the_report_has_a_line_a_step() -> None:
    lines = adding(SCENE, *WELL)
    result = judge(lines)
    page, summary = html(result, lines), markdown(result, lines)
    for text in ("<h2>Procedure</h2>", "promote orders", "0 lost", "a person", "(propagate)"):
        assert text in page
    assert "| promote orders (to recover) | 0.50 s | 0.40 s | a machine | done |" in summary
    bare = Scene().lines()
    assert "<h2>Procedure</h2>" not in html(judge(bare), bare)
