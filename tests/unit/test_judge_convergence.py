"""What the judge makes of a multi-active store: a difference fails, one side that is silent is never green."""

from __future__ import annotations

from typing import Any

import pytest
from evidence_builder import START, T0, Scene
from test_judge_ledger import STORES, Told, a_read, objective, the_drill, the_fleet

from blackstart.evidence.records import FaultEvent, FaultState, Reason
from blackstart.evidence.written import Convergence, Different, StoreRead, Writes
from blackstart.judge import judge
from blackstart.report import html, junit, markdown
from blackstart.schema.result import ObjectiveResult, Result, Verdict

UNDO, REVERTED = 35.0, 35.5
ASKED = (
    {"kind": "convergence", "service": "frontend", "objective": "10s"},
    {"kind": "lost-writes", "service": "frontend"},
)


def active_fleet() -> dict[str, Any]:
    urls = {side: f"http://10.0.0.{n}:8080/orders" for n, side in enumerate(("us", "eu"))}
    found = the_fleet(writes={"urls": urls, "place": "outside"})
    return {**found, "stores": {"orders-db": {**STORES["orders-db"], "pattern": "multi-active"}}}


def both(t: float, w: Writes) -> Writes:
    return w.model_copy(update={"taken": {"us": w.ok // 2, "eu": w.ok - w.ok // 2}})


def converged(**more: Any) -> Convergence:
    base: dict[str, Any] = {
        "store": "orders-db",
        "record": "orders",
        "members": ["us", "eu"],
        "acknowledged": 400,
        "behind": START + 37.0,
        "level": START + 38.0,
    }
    return Convergence.model_validate({**base, **more})


DURING = (a_read("failover", "us", 90, (T0, T0 + 5)), a_read("failover", "eu", 110, (T0, T0 + 5)))
AFTER = (a_read("failback", "us"), a_read("failback", "eu"))


def ran(*told: Convergence, failback: tuple[StoreRead, ...] = AFTER, seconds: Any = both) -> Result:
    scene = Scene(drill=the_drill(*ASKED), fleet=active_fleet())
    return Told(
        scene=scene, failover=DURING, failback=failback, seconds=seconds, extra=tuple((48.3, each) for each in told)
    ).result()


def asked(result: Result) -> ObjectiveResult:
    return objective(result, "convergence")


def test_both_sides_the_same_in_time_passes_and_what_was_on_its_way_is_not_lost() -> None:
    result = ran(converged())
    assert result.verdict is Verdict.PASS, result.reasons
    found = asked(result)
    assert found.met
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < found.high < 10
    assert "none of 400 differs in the end; of orders-db/orders only ids were compared" in found.detail
    assert "only ids" not in asked(ran(converged(content=True))).detail
    assert objective(result, "lost-writes").measured == 0
    during = [w for w in result.writes if w.moment == "failover"]
    assert [(w.lost, w.awaited, w.lost_writes) for w in during] == [(90, True, []), (110, True, [])]


def test_a_difference_fails_and_names_the_write() -> None:
    example = Different(id="w7", held=["us"], missing=["eu"], acknowledged=START + T0 + 1.5, by="us/order-1")
    result = ran(converged(level=None, different=3, examples=[example], replication=["eu: applier No: 1062: Dup"]))
    assert result.verdict is Verdict.FAIL
    found = asked(result)
    assert found.met is False
    assert "3 writes differ in orders-db/orders: w7 (acknowledged by us/order-1, T0 +1.5" in found.detail
    assert "is at us, not at eu" in found.detail
    assert "1062" in found.detail
    assert result.score is not None
    assert result.score.breakdown["user-service"]["loss"].high == 0


def test_other_content_fails_although_nothing_is_missing() -> None:
    example = Different(id="w7", held=["us", "eu"], missing=[], differs=True)
    result = ran(converged(different=1, examples=[example]))
    assert result.verdict is Verdict.FAIL
    assert "w7 is at us, eu, with different content" in asked(result).detail


def test_an_acknowledged_write_that_is_nowhere_fails() -> None:
    example = Different(id="w7", held=[], missing=["us", "eu"], acknowledged=START + T0, by="us/order-1")
    result = ran(converged(different=1, examples=[example]))
    assert result.verdict is Verdict.FAIL
    assert "is nowhere" in asked(result).detail


def test_a_write_that_one_side_lacks_after_the_fail_back_is_lost() -> None:
    result = ran(converged(), failback=(a_read("failback", "us"), a_read("failback", "eu", 1)))
    assert result.verdict is Verdict.FAIL
    assert "1 of 400 acknowledged writes lost: orders-db/orders at eu" in result.sentence


def test_too_late_fails_and_never_level_is_not_known() -> None:
    late = ran(converged(behind=START + 47.0, level=START + 47.5))
    assert late.verdict is Verdict.FAIL
    assert asked(late).met is False
    never = ran(converged(behind=START + 38.0, level=None))
    assert never.verdict is Verdict.INCONCLUSIVE
    assert asked(never).met is None


@pytest.mark.parametrize(
    "told",
    [
        (),
        (converged(members=["us"], unread=["eu: refused: gone"]),),
        (converged(members=[], unread=["us: timeout: late", "eu: refused: gone"]),),
        (converged(acknowledged=0),),
        (converged(record="others"),),
    ],
)
def test_what_was_not_compared_is_never_green(told: tuple[Convergence, ...]) -> None:
    result = ran(*told)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert asked(result).met is None
    assert asked(result).detail.startswith("no data")


def test_a_side_that_was_not_written_to_during_the_cut_is_never_green() -> None:
    def only_us(t: float, w: Writes) -> Writes:
        return w.model_copy(update={"taken": {"us": w.ok, "eu": 0 if t > T0 else 1}})

    result = ran(converged(), seconds=only_us)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "no write was acknowledged at the entry of eu between T0 and the undo" in asked(result).detail
    nothing_told = ran(converged(), seconds=lambda t, w: w)
    assert nothing_told.verdict is Verdict.INCONCLUSIVE


def test_a_victim_cannot_be_written_to_and_need_not() -> None:
    """The scene's victim is us."""

    def only_eu(t: float, w: Writes) -> Writes:
        return w.model_copy(update={"taken": {"us": 0 if t > T0 else 1, "eu": w.ok}})

    assert ran(converged(), seconds=only_eu).verdict is Verdict.PASS


def test_a_member_that_was_not_read_at_the_end_is_never_green() -> None:
    gone = StoreRead(moment="failback", store="orders-db", record="orders", member="eu", no_data=Reason.REFUSED)
    result = ran(converged(), failback=(AFTER[0], gone))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert objective(result, "lost-writes").met is None
    fenced = ran(converged(), failback=(AFTER[0], a_read("failback", "eu", writable=False)))
    assert fenced.verdict is Verdict.INCONCLUSIVE


def test_the_time_counts_from_the_revert() -> None:
    """Seen level after 3 s at the latest, and behind until 1.5 s after the revert was told."""
    result = ran(converged())
    reverted = [
        m.t
        for line in Told(scene=Scene(drill=the_drill(*ASKED), fleet=active_fleet())).lines()
        if isinstance(line.body, FaultEvent) and line.body.state is FaultState.REVERTED
        for m in [line]
    ]
    found = asked(result)
    assert found.low == pytest.approx(START + 37.0 - max(reverted), abs=1e-3)


def test_the_report_tells_of_it_in_every_form() -> None:
    scene = Scene(drill=the_drill(*ASKED), fleet=active_fleet())
    lines = Told(scene=scene, failover=DURING, failback=AFTER, seconds=both, extra=((48.3, converged()),)).lines()
    result = judge(lines)
    page = html(result, lines)
    assert "on its way" in page
    assert "Convergence" in page
    assert "110 lost" not in page
    assert "convergence" in markdown(result, lines).lower()
    assert "convergence" in junit(result)
    assert Result.model_validate_json(result.model_dump_json()) == result
