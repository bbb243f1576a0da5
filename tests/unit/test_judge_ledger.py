"""What the judge makes of a ledger: losses fail, silence is never green, and every figure says n."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from evidence_builder import DRILL, FLEET, START, T0, Scene, adding, with_body, without
from hypothesis import given, settings
from hypothesis import strategies as st

from blackstart.evidence.records import Body, FaultEvent, FaultState, Interval, Line, Reading, Reason
from blackstart.evidence.written import LostWrite, Span, StoreRead, Writes
from blackstart.judge import judge
from blackstart.report import html, junit, markdown
from blackstart.schema.result import ObjectiveResult, Result, Verdict

N = 400

_LOGIN = {"user": "reader"}
_MEMBER = {"address": "10.0.0.9:3306", "place": "outside"}
_RECORDS = {"orders": {"ids": "SELECT id FROM orders WHERE id LIKE %s", "ordered": True}}
STORES = {
    "orders-db": {
        "kind": "mariadb",
        "members": {"us": _MEMBER, "eu": _MEMBER},
        "primary": "us",
        "reader": _LOGIN,
        "records": _RECORDS,
    }
}


def the_fleet(**service: Any) -> dict[str, Any]:
    writes = {"url": "http://10.0.0.1:8080/orders", "place": "outside"}
    shop = {**FLEET["services"]["user-service"], "writes": writes, "stores": ["orders-db"], **service}
    return {**FLEET, "stores": STORES, "services": {"user-service": shop}}


def the_drill(*objectives: dict[str, Any]) -> dict[str, Any]:
    asked = objectives or (
        {"kind": "rpo", "service": "frontend", "objective": "2s"},
        {"kind": "lost-writes", "service": "frontend", "objective": 10},
        {"kind": "order", "service": "frontend"},
    )
    return {"ledger": {"service": "frontend"}, "objectives": [*DRILL["objectives"], *asked]}


def second(t: float, **more: Any) -> tuple[float, Writes]:
    base: dict[str, Any] = {
        "service": "user-service",
        "state": "running",
        "sent": 10,
        "ok": 10,
        "failed": 0,
        "indeterminate": 0,
        "lines": round(20 * t),
        "digest": "0" * 64,
    }
    return t, Writes.model_validate({**base, **more})


LATELY = (T0 - 0.5, T0)


def a_read(moment: str, member: str, lost: int = 0, span: tuple[float, float] = LATELY, **more: Any) -> StoreRead:
    """Of a member that takes writes; `span`: when the lost ones were acknowledged, seconds of the scene."""
    first, last = START + span[0], START + span[1]
    gone = Span(count=lost, first=first, last=last) if lost else Span(count=0)
    base: dict[str, Any] = {
        "moment": moment,
        "store": "orders-db",
        "record": "orders",
        "member": member,
        "server": f"server_id 1 at {member}:3306",
        "writable": True,
        "ids": N - lost,
        "acknowledged": N,
        "indeterminate": 3,
        "recovered": 1,
        "lost": gone,
        "new": gone if moment == "failover" else Span(count=0),
        "examples": [LostWrite(id=f"w{i}", acknowledged=first, by="us/order-1") for i in range(min(lost, 200))],
    }
    return StoreRead.model_validate({**base, **more})


@dataclass
class Told:
    """A drill with a ledger that passes, unless something is changed."""

    failover: tuple[StoreRead, ...] = (
        a_read("failover", "eu"),
        StoreRead(
            moment="failover", store="orders-db", record="orders", member="us", no_data=Reason.REFUSED, detail="gone"
        ),
    )
    failback: tuple[StoreRead, ...] = (a_read("failback", "us"), a_read("failback", "eu", writable=False))
    seconds: Callable[[float, Writes], Writes | None] = lambda t, w: w
    drill: dict[str, Any] | None = None
    scene: Scene | None = None
    extra: tuple[tuple[float, Body], ...] = ()

    def lines(self) -> list[Line]:
        scene = self.scene or Scene(drill=self.drill or the_drill(), fleet=the_fleet())
        told = [second(t + 0.9) for t in range(2, 47)]
        told += [second(33.5, state="paused", sent=0, ok=0), second(48.0, state="stopped", sent=0, ok=0)]
        kept = [(t, changed) for t, w in sorted(told, key=lambda x: x[0]) if (changed := self.seconds(t, w))]
        reads = [(33.8, read) for read in self.failover] + [(48.2, read) for read in self.failback]
        return adding(scene, *kept, *reads, *self.extra)

    def result(self) -> Result:
        return judge(self.lines())


def objective(result: Result, kind: str) -> ObjectiveResult:
    return next(o for o in result.objectives if o.kind == kind)


def test_nothing_lost_passes_and_says_of_how_many() -> None:
    result = Told().result()
    assert result.verdict is Verdict.PASS, result.reasons
    assert objective(result, "lost-writes").measured == 0
    assert f"none of {N} acknowledged writes lost" in objective(result, "lost-writes").detail
    read = next(w for w in result.writes if w.member == "eu" and w.moment == "failover")
    assert read.lost_at_most == pytest.approx(3 / N)
    assert read.rpo_s == 0
    assert result.score is not None
    assert result.score.breakdown["user-service"]["loss"].low == 1
    assert result.score.breakdown["user-service"]["loss"].weight == 0.30


def test_a_loss_within_the_allowance_passes_and_costs_points() -> None:
    result = Told(failover=(a_read("failover", "eu", 5),), failback=(a_read("failback", "us", 5),)).result()
    assert result.verdict is Verdict.PASS, result.reasons
    rpo = objective(result, "rpo")
    assert (rpo.low, rpo.high) == (pytest.approx(0.5), pytest.approx(0.52))
    assert objective(result, "lost-writes").measured == 5
    assert result.score is not None
    assert result.score.breakdown["user-service"]["loss"].low == pytest.approx(0.9)


def test_too_many_lost_fail_and_cap_a_tier_0_service_at_39() -> None:
    result = Told(failover=(a_read("failover", "eu", 11),), failback=(a_read("failback", "us", 11),)).result()
    assert result.verdict is Verdict.FAIL
    assert "11 of 400 acknowledged writes lost: orders-db/orders at eu after the failover" in result.sentence
    assert result.score is not None
    assert result.score.low <= 39
    assert any("lost more acknowledged writes" in cap for cap in result.score.caps)


def test_a_service_of_a_lower_tier_is_not_capped_at_39() -> None:
    scene = Scene(drill=the_drill(), fleet=the_fleet(tier=1))
    result = Told(scene=scene, failover=(a_read("failover", "eu", 11),)).result()
    assert result.verdict is Verdict.FAIL
    assert result.score is not None
    assert not any("lost more" in cap for cap in result.score.caps)


def test_the_rpo_counts_from_the_oldest_lost_write_to_t0() -> None:
    result = Told(failover=(a_read("failover", "eu", 3, (T0 - 2.5, T0 - 1)),)).result()
    rpo = objective(result, "rpo")
    assert rpo.met is False
    assert rpo.measured == pytest.approx(2.52)
    assert result.verdict is Verdict.FAIL


def test_writes_acknowledged_after_t0_and_lost_make_the_rpo_longer() -> None:
    """The link was cut, and the old primary went on acknowledging for 4 s."""
    result = Told(failover=(a_read("failover", "eu", 3, (T0 + 0.1, T0 + 4.1)),)).result()
    assert objective(result, "rpo").measured == pytest.approx(4.0)


def test_with_several_faults_the_rpo_counts_to_the_first() -> None:
    later = Interval(earliest=START + T0 + 9, latest=START + T0 + 9.1)
    events = [
        (T0 + 9.2, FaultEvent(fault="f2", kind="kill-store", target="us", state=FaultState.CONFIRMED, t0=later)),
        (35.5, FaultEvent(fault="f2", kind="kill-store", target="us", state=FaultState.CONFIRMED_REVERTED)),
    ]
    told = Told(failover=(a_read("failover", "eu", 3, (T0 - 0.4, T0 - 0.1)),), extra=tuple(events))
    assert objective(told.result(), "rpo").measured == pytest.approx(0.42)


def test_the_edge_of_the_objective_is_unknown_not_met() -> None:
    """T0 is known within 20 ms, and the objective lies in between."""
    asked = the_drill({"kind": "rpo", "service": "frontend", "objective": 0.51})
    result = Told(failover=(a_read("failover", "eu", 1),), drill=asked).result()
    assert objective(result, "rpo").met is None
    assert result.verdict is Verdict.INCONCLUSIVE


def test_what_the_fail_back_loses_counts_by_itself() -> None:
    """Five were lost by the failover; three more, acknowledged 20 s later, by the fail-back."""
    new = Span(count=3, first=START + 36, last=START + 36.5)
    back = a_read("failback", "us", 8, (T0 - 0.5, 36.5), new=new)
    result = Told(failover=(a_read("failover", "eu", 5),), failback=(back,)).result()
    assert objective(result, "rpo").measured == pytest.approx(0.52)
    assert objective(result, "lost-writes").measured == 8


def test_both_sides_of_a_split_brain_are_judged() -> None:
    both = (a_read("failover", "eu"), a_read("failover", "us", 50, (T0 + 1, T0 + 15)))
    result = Told(failover=both).result()
    assert result.verdict is Verdict.FAIL
    assert "at us after the failover" in " ".join(result.reasons)
    named = next(w for w in result.writes if w.member == "us" and w.moment == "failover")
    assert len(named.lost_writes) == 50


def test_what_a_replica_lacks_is_no_loss() -> None:
    lagging = a_read("failover", "us", 50, writable=False)
    result = Told(failover=(a_read("failover", "eu"), lagging)).result()
    assert result.verdict is Verdict.PASS, result.reasons
    assert next(w for w in result.writes if w.member == "us").lost_writes == []


UNREAD = StoreRead(
    moment="failover", store="orders-db", record="orders", member="eu", no_data=Reason.TIMEOUT, detail="20 s"
)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (Told(failover=(UNREAD,)), "no member takes writes; eu: timeout"),
        (Told(failover=()), "was not read"),
        (Told(failback=()), "was not read"),
        (Told(failover=(a_read("failover", "eu", writable=False),)), "no member takes writes"),
        (Told(failover=(a_read("failover", "eu", acknowledged=0),)), "no write was acknowledged"),
    ],
)
def test_a_store_that_nobody_read_is_inconclusive(told: Told, reason: str) -> None:
    result = told.result()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert reason in " ".join(result.reasons)
    assert objective(result, "lost-writes").met is None


def test_it_is_inconclusive_without_any_objective_about_data_too() -> None:
    told = Told(failover=(UNREAD,), drill={"ledger": {"service": "frontend"}})
    assert told.result().verdict is Verdict.INCONCLUSIVE


def test_a_loss_beyond_doubt_fails_though_the_other_moment_is_not_known() -> None:
    assert Told(failover=(a_read("failover", "eu", 50),), failback=()).result().verdict is Verdict.FAIL


def without_acks(since: float, until: float) -> Callable[[float, Writes], Writes]:
    return lambda t, w: w.model_copy(update={"ok": 0, "failed": 10}) if since <= t < until else w


@pytest.mark.parametrize(
    ("seconds", "verdict", "reason"),
    [
        (without_acks(0, 12), Verdict.INVALID, "0 of 100 writes acknowledged"),
        (without_acks(4, 6), Verdict.INVALID, "writes acknowledged by 20 writers"),
        (lambda t, w: w if t > 12 else None, Verdict.INVALID, "0 of 0 writes acknowledged"),
        (lambda t, w: w.model_copy(update={"ok": 1, "sent": 1}), Verdict.INVALID, "10 of 10 writes"),
        (lambda t, w: w if t < 20 or t > 27 else None, Verdict.INCONCLUSIVE, "nothing heard of its writers"),
        (lambda t, w: w if t < 30 else None, Verdict.INCONCLUSIVE, "nothing heard of its writers"),
        (lambda t, w: None if w.state == "stopped" else w, Verdict.INCONCLUSIVE, "did not end in order"),
        (
            lambda t, w: w.model_copy(update={"sent": 0, "ok": 0}) if 20 < t < 33 else w,
            Verdict.INCONCLUSIVE,
            "its writers sent nothing",
        ),
        (lambda t, w: w.model_copy(update={"lines": 1}) if t > 40 else w, Verdict.INCONCLUSIVE, "became shorter"),
    ],
)
def test_a_ledger_that_says_too_little_is_never_green(
    seconds: Callable[[float, Writes], Writes | None], verdict: Verdict, reason: str
) -> None:
    result = Told(seconds=seconds).result()
    assert result.verdict is verdict
    assert reason in " ".join(result.reasons)


def test_without_writes_right_before_the_fault_nobody_knows_what_it_cost() -> None:
    scene = Scene(drill=the_drill(), fleet=the_fleet(), t0=(16.0, 16.02))
    result = Told(scene=scene, seconds=without_acks(12, 17)).result()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "no write was acknowledged in the last 3 s before T0" in " ".join(result.reasons)


def test_an_outage_of_writes_during_the_hold_is_what_a_drill_is_for() -> None:
    assert Told(seconds=without_acks(15, 30)).result().verdict is Verdict.PASS


def test_no_ledger_in_the_evidence_is_never_green() -> None:
    lines = without(Told().lines(), lambda b: isinstance(b, Writes | StoreRead))
    assert judge(lines).verdict is Verdict.INVALID


def test_a_store_that_holds_what_the_ledger_denies_is_inconclusive() -> None:
    odd = a_read("failback", "us", phantom=2, odd=["x: never meant, or refused"])
    result = Told(failback=(odd,)).result()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "holds 2 writes that the ledger denies: x" in " ".join(result.reasons)


@pytest.mark.parametrize("what", ["duplicated", "reordered"])
def test_a_write_twice_or_out_of_order_fails_where_that_is_asked_for(what: str) -> None:
    odd = a_read("failback", "us", **{what: 1})
    assert Told(failback=(odd,)).result().verdict is Verdict.FAIL
    only = the_drill({"kind": "lost-writes", "service": "frontend"})
    assert Told(failback=(odd,), drill=only).result().verdict is Verdict.PASS


def test_an_objective_can_be_about_one_store_and_record() -> None:
    def asked(store: str, record: str) -> dict[str, Any]:
        return {"kind": "lost-writes", "service": "frontend", "store": store, "record": record, "objective": 0}

    scene = Scene(drill=the_drill(asked("db", "orders"), asked("db", "events")), fleet=the_fleet())
    scene.fleet["roles"] = {**FLEET["roles"], "db": "orders-db"}
    here, there = [o for o in Told(scene=scene).result().objectives if o.kind == "lost-writes"]
    assert here.met is True
    assert here.objective == "<= 0 in db/orders"
    assert there.met is None


def test_each_lost_write_is_explained() -> None:
    """When it was acknowledged, by whom, and what the store's probe had last said by then."""
    probe = {"probe": "orders-replication", "kind": "mysql", "store": "orders-db", "every": 1.0, "deadline": 2.0}

    def named(body: Body) -> Body:
        if getattr(body, "type", "") == "header":
            return body.model_copy(update={"probes": [*body.probes, probe]})  # type: ignore[union-attr]  # a Header
        return body

    readings = [
        (t, Reading(probe="orders-replication", key="eu", value=t / 10, detail="lag")) for t in (11.0, 12.0, 13.0)
    ]
    told = Told(failover=(a_read("failover", "eu", 2),), extra=tuple(readings))
    result = judge(with_body(told.lines(), named))
    write = next(w for w in result.writes if w.lost_writes).lost_writes[0]
    assert write.id == "w0"
    assert write.acknowledged_s == pytest.approx(-0.5)
    assert write.by == "us/order-1"
    assert write.replication == "orders-replication eu: 1.2 (lag), 0.5 s before"


@given(st.integers(0, 400), st.integers(0, 400), st.floats(0, 30), st.floats(0, 30))
@settings(deadline=None, max_examples=30)
def test_more_loss_never_helps(few: int, more: int, age: float, older: float) -> None:
    few, more = sorted((few, more))
    age, older = sorted((age, older))

    def judged(lost: int, seconds: float) -> Result:
        span = (T0 - seconds, T0)
        return Told(
            failover=(a_read("failover", "eu", lost, span),), failback=(a_read("failback", "us", lost, span),)
        ).result()

    better, worse = judged(few, age), judged(more, older)
    assert not (worse.verdict is Verdict.PASS and better.verdict is not Verdict.PASS)
    assert better.score
    assert worse.score
    assert worse.score.low <= better.score.low + 0.05


@pytest.mark.parametrize("told", [Told(), Told(failover=(a_read("failover", "eu", 150),)), Told(failover=(UNREAD,))])
def test_the_report_tells_of_the_writes_in_every_form(told: Told) -> None:
    lines = told.lines()
    result = judge(lines)
    page = html(result, lines)
    assert "<h2>Writes</h2>" in page
    assert "orders-db/orders" in page
    assert "orders-db/orders" in markdown(result, lines)
    assert "lost-writes" in junit(result)
    if any(w.lost for w in result.writes):
        assert "100 more are missing" in page
        assert "w49" in page
        assert "w50<" not in page
    again = Result.model_validate_json(result.model_dump_json())
    assert again == result


def test_a_report_without_a_ledger_has_no_such_section() -> None:
    lines = Scene().lines()
    assert "<h2>Writes</h2>" not in html(judge(lines), lines)
