"""Every situation in which a drill must not lie, one test each."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from evidence_builder import (
    DIRECT_EU,
    DRILL,
    END,
    FRESH,
    KEPT,
    PHASES,
    T0,
    Answer,
    Scene,
    aborted,
    adding,
    number,
    with_body,
    without,
)

from blackstart.evidence.records import (
    Activity,
    Body,
    Check,
    End,
    FaultEvent,
    FaultState,
    GuardTrip,
    Interval,
    Outstanding,
    Phase,
    PhaseStart,
    Reason,
    Samples,
)
from blackstart.judge import judge
from blackstart.schema.result import EXIT_CODES, Result, Verdict


def of(scene: Scene) -> Result:
    return judge(scene.lines())


def objective(result: Result, kind: str) -> Any:
    return next(o for o in result.objectives if o.kind == kind)


def test_a_drill_that_proves_everything_passes() -> None:
    result = of(Scene())
    assert result.verdict is Verdict.PASS
    assert result.exit_code == 0
    assert result.reasons == []
    assert (
        result.sentence
        == "With region us out of service, user-service recovered for good within 1.2 s; everything was put back."
    )
    assert [o.met for o in result.objectives] == [True] * 5
    assert result.score is not None
    assert result.score.grade == "A"


def test_a_result_survives_its_own_json() -> None:
    result = of(Scene())
    assert Result.model_validate_json(result.model_dump_json()) == result


def test_an_ineffective_fault_is_invalid() -> None:
    def change(body: Body) -> Body:
        if isinstance(body, FaultEvent) and body.state is FaultState.CONFIRMED:
            return body.model_copy(
                update={"state": FaultState.INEFFECTIVE, "t0": None, "detail": "10.0.0.1:443 answers"}
            )
        return body

    result = judge(with_body(Scene(outage=0).lines(), change))
    assert result.verdict is Verdict.INVALID
    assert result.exit_code == 12
    assert result.score is None
    assert "10.0.0.1:443 answers" in result.sentence


def test_a_fault_that_its_control_probe_did_not_time_is_invalid() -> None:
    for t0 in (None, Interval(earliest=2.0, latest=1.0), Interval(earliest=float("nan"), latest=1.0)):

        def change(body: Body, t0: Interval | None = t0) -> Body:
            confirmed = isinstance(body, FaultEvent) and body.state is FaultState.CONFIRMED
            return body.model_copy(update={"t0": t0}) if confirmed else body

        result = judge(with_body(Scene().lines(), change))
        assert result.verdict is Verdict.INVALID
        assert "not confirmed by its control probe" in result.sentence


def test_one_unconfirmed_fault_among_several_is_invalid() -> None:
    second = [(t, FaultEvent(fault="f2", kind="sever", target="us-eu", state=s)) for t, s in (
        (T0, FaultState.ARMED), (T0 + 0.1, FaultState.APPLIED),
        (35.0, FaultState.REVERTED), (36.0, FaultState.CONFIRMED_REVERTED))]  # fmt: skip
    assert judge(adding(Scene(), *second)).verdict is Verdict.INVALID


def test_an_injecting_activity_that_failed_is_invalid() -> None:
    failed = Activity(
        section="method", name="scale", status="failed", injects=True, detail="deployments.apps not found"
    )
    result = judge(adding(Scene(), (T0, failed)))
    assert result.verdict is Verdict.INVALID
    assert "deployments.apps not found" in result.sentence


def test_a_run_without_any_injection_is_invalid() -> None:
    result = judge(without(Scene(outage=0).lines(), lambda b: isinstance(b, FaultEvent | Activity)))
    assert result.verdict is Verdict.INVALID
    assert "no activity that injects a fault succeeded" in result.reasons


def test_a_fault_that_no_client_noticed_is_invalid() -> None:
    result = of(Scene(outage=0, standby="us"))
    assert result.verdict is Verdict.INVALID
    assert "a path bypasses the fault" in result.sentence


@pytest.mark.parametrize(("latency", "verdict"), [(0.2, Verdict.PASS), (0.02, Verdict.INVALID)])
def test_a_request_that_waited_for_the_undo_is_no_path_that_bypasses_the_fault(
    latency: float, verdict: Verdict
) -> None:
    """Both regions serve, and retries hide the loss of one; its answer to the last request comes after or before."""

    def answer(name: str, t: float) -> Answer | None:
        if "/direct/" in name:
            return None
        last = abs(t - (PHASES[Phase.UNDO] - 0.1)) < 0.001
        away = T0 <= t < PHASES[Phase.UNDO] and not last
        region = "eu" if away or (not last and round(t / 0.05) % 2) else "us"
        return (latency if last else 0.004, True, region, None)

    assert of(Scene(answer=answer)).verdict is verdict


@pytest.mark.parametrize("sick", [FRESH, KEPT, DIRECT_EU])
def test_a_sick_baseline_is_invalid(sick: str) -> None:
    result = of(Scene(sick=[sick]))
    assert result.verdict is Verdict.INVALID
    assert sick in result.sentence


def test_a_baseline_that_dips_for_a_second_is_invalid() -> None:
    assert of(Scene(bad=[(5.0, 6.0)])).verdict is Verdict.INVALID


@pytest.mark.parametrize("silent", [[(2.0, 12.0)], [(0.0, END)], [(4.0, 6.5)]])
def test_a_silent_baseline_is_invalid(silent: list[tuple[float, float]]) -> None:
    assert of(Scene(silent=silent)).verdict is Verdict.INVALID


def test_a_stream_that_was_never_started_is_invalid() -> None:
    assert of(Scene(streams=[FRESH, DIRECT_EU])).verdict is Verdict.INVALID


def test_a_preflight_check_that_failed_is_invalid() -> None:
    check = Check(name="preflight/permissions/eu", ok=False, detail="may not patch deployments")
    assert judge(adding(Scene(), (1.0, check))).verdict is Verdict.INVALID


def test_a_preflight_check_without_an_answer_is_inconclusive() -> None:
    check = Check(name="preflight/permissions/eu", ok=None, detail="timeout")
    assert judge(adding(Scene(), (1.0, check))).verdict is Verdict.INCONCLUSIVE


def test_no_failover_fails_with_the_time_since_t0() -> None:
    result = of(Scene(outage=60))
    assert result.verdict is Verdict.FAIL
    assert result.exit_code == 10
    assert objective(result, "rto").measured is None
    assert "not recovered after 21.0 s" in result.sentence
    assert result.score is not None
    assert result.score.high <= 59


def test_a_slow_failover_fails() -> None:
    result = of(Scene(outage=16))
    assert result.verdict is Verdict.FAIL
    assert objective(result, "rto").met is False


def test_a_recovery_that_the_clock_cannot_tell_from_the_objective_is_inconclusive() -> None:
    result = of(Scene(outage=1.2, drill=_with(rto="1.15s")))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "the clock cannot tell this from 1.15 s" in result.sentence


def test_a_watch_shorter_than_the_objective_is_inconclusive() -> None:
    result = of(Scene(outage=60, drill={"objectives": [{"kind": "rto", "service": "frontend", "objective": "60s"}]}))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "nobody watched for longer" in result.sentence


def test_an_outage_of_one_second_later_in_the_hold_counts() -> None:
    result = of(Scene(bad=[(30.0, 31.0)]))
    assert result.verdict is Verdict.FAIL
    assert objective(result, "rto").measured is None


def test_a_prometheus_that_does_not_answer_is_inconclusive() -> None:
    result = of(Scene(replicas=lambda t: Reason.REFUSED if t >= 20 else 3.0))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "no data: probe replicas" in result.sentence
    assert "refused (connection refused)" in result.sentence


@pytest.mark.parametrize("t", [20.0])
def test_a_single_reading_without_data_is_inconclusive(t: float) -> None:
    assert of(Scene(replicas=lambda now: Reason.STALE if now == t else 3.0)).verdict is Verdict.INCONCLUSIVE


def test_a_breach_among_missing_readings_still_fails() -> None:
    result = of(Scene(replicas=lambda t: Reason.STALE if t > 25 else 2.0 if t > 20 else 3.0))
    assert result.verdict is Verdict.FAIL
    assert objective(result, "reading").measured == 2.0


def test_nan_meets_nothing() -> None:
    assert of(Scene(replicas=lambda t: float("nan"))).verdict is Verdict.INCONCLUSIVE


def test_a_probe_that_falls_silent_is_inconclusive() -> None:
    lines = without(Scene().lines(), lambda b: b.type == "reading")
    assert judge(lines).verdict is Verdict.INCONCLUSIVE
    early = [line for line in Scene().lines() if line.body.type != "reading" or line.t < 1000 + 20]
    result = judge(early)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "silent for" in result.sentence


@pytest.mark.parametrize("silent", [[(20.0, 22.0)], [(30.0, END)]])
def test_client_samples_missing_in_the_hold_are_inconclusive(silent: list[tuple[float, float]]) -> None:
    result = of(Scene(silent=silent))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.score is not None
    assert result.score.low == 0


def test_few_samples_all_over_the_hold_are_inconclusive() -> None:
    scene = Scene(silent=[(t / 10, t / 10 + 0.05) for t in range(120, 470, 2)])
    assert of(scene).verdict is Verdict.INCONCLUSIVE


def test_a_region_that_does_not_come_back_is_unsafe() -> None:
    lines = without(Scene(back=99).lines(), lambda b: getattr(b, "state", None) is FaultState.CONFIRMED_REVERTED)
    result = judge(lines)
    assert result.verdict is Verdict.UNSAFE
    assert result.exit_code == 14
    assert result.score is not None
    assert result.score.high <= 39


def test_outstanding_faults_are_unsafe() -> None:
    lines = with_body(Scene().lines(), lambda b: Outstanding(faults=["f1"]) if isinstance(b, Outstanding) else b)
    result = judge(lines)
    assert result.verdict is Verdict.UNSAFE
    assert result.undo.outstanding == ["f1"]


def test_a_run_that_does_not_say_what_is_left_is_unsafe() -> None:
    assert judge(without(Scene().lines(), lambda b: isinstance(b, Outstanding))).verdict is Verdict.UNSAFE


def test_something_left_behind_is_unsafe() -> None:
    check = Check(name="residue/us", ok=False, detail="nft table blackstart is there")
    assert judge(adding(Scene(), (48.0, check))).verdict is Verdict.UNSAFE


def test_a_conflict_is_unsafe() -> None:
    conflict = FaultEvent(fault="f1", kind="kill", target="us", state=FaultState.CONFLICT, detail="changed by argocd")
    result = judge(adding(Scene(), (48.0, conflict)))
    assert result.verdict is Verdict.UNSAFE
    assert "changed by argocd" in result.sentence


def test_a_failed_undo_that_worked_later_is_no_failed_injection() -> None:
    failed = FaultEvent(fault="f1", kind="kill", target="us", state=FaultState.FAILED, detail="containerd: timeout")
    assert judge(adding(Scene(), (34.5, failed))).verdict is Verdict.PASS


def test_an_action_that_failed_half_way_must_be_put_back() -> None:
    states = (FaultState.ARMED, FaultState.FAILED)
    events = [(T0, FaultEvent(fault="f2", kind="scale", target="eu", state=state)) for state in states]
    assert judge(adding(Scene(), *events)).verdict is Verdict.UNSAFE
    assert judge(adding(Scene(), events[1])).verdict is Verdict.INVALID


def test_a_crash_with_the_fault_in_place_is_unsafe() -> None:
    assert judge([line for line in Scene().lines() if line.t < 1000 + 25]).verdict is Verdict.UNSAFE


def test_a_crash_after_a_proven_undo_is_inconclusive() -> None:
    assert judge(without(Scene().lines(), lambda b: isinstance(b, End))).verdict is Verdict.INCONCLUSIVE


def test_a_crash_before_anything_was_injected_is_inconclusive_or_invalid_but_safe() -> None:
    result = judge([line for line in Scene().lines() if line.t < 1000 + 8])
    assert result.verdict is Verdict.INVALID
    assert "nothing was injected" in result.sentence


def test_a_guard_aborts() -> None:
    result = judge(aborted(at=6))
    assert result.verdict is Verdict.ABORTED
    assert result.exit_code == 13
    assert "survivors: eu" in result.sentence


def test_a_guard_that_came_after_a_decisive_miss_does_not_hide_it() -> None:
    result = judge(aborted(at=17))
    assert result.verdict is Verdict.FAIL
    assert any("guard" in reason for reason in result.reasons)


def test_a_signal_aborts_whatever_was_measured() -> None:
    assert judge(aborted(at=17, trip=False, how="interrupted")).verdict is Verdict.ABORTED


def test_a_guard_trip_never_passes_even_when_all_was_well() -> None:
    trip = GuardTrip(guard="clients", blind=True, detail="no data for 5.0 s")
    assert judge(adding(Scene(), (30.0, trip))).verdict is Verdict.ABORTED


@pytest.mark.parametrize(("how", "verdict"), [("blocked", Verdict.BLOCKED), ("refused", Verdict.INVALID)])
def test_nothing_injected(how: str, verdict: Verdict) -> None:
    scene = Scene(how=how)
    head = scene.header()
    end = End.model_validate({"how": how, "detail": "context eu is not the pinned cluster"})
    result = judge(number([(0.0, head), (0.1, PhaseStart(phase=Phase.PREFLIGHT)), (1.0, end)]))
    assert result.verdict is verdict
    assert result.exit_code == EXIT_CODES[verdict]
    assert result.score is None
    assert result.reasons == ["context eu is not the pinned cluster"]


def test_refused_with_a_fault_in_place_is_unsafe() -> None:
    lines = without(
        Scene(how="refused").lines(), lambda b: getattr(b, "state", None) is FaultState.CONFIRMED_REVERTED
    )
    assert judge(lines).verdict is Verdict.UNSAFE


def test_a_short_hold_is_inconclusive() -> None:
    phases = {**PHASES, Phase.UNDO: 28.0}
    assert of(Scene(phases=phases)).verdict is Verdict.INCONCLUSIVE


def test_service_not_all_there_again_fails() -> None:
    lines = with_body(
        Scene().lines(),
        lambda b: b.model_copy(update={"ok": False, "detail": "2 of 3 pods"}) if _is(b, "completeness") else b,
    )
    result = judge(lines)
    assert result.verdict is Verdict.FAIL
    assert "2 of 3 pods" in result.sentence


def test_a_region_that_was_not_checked_is_inconclusive() -> None:
    lines = without(Scene().lines(), lambda b: _is(b, "completeness/user-service/us"))
    assert judge(lines).verdict is Verdict.INCONCLUSIVE


def test_no_failback_fails_or_is_unknown() -> None:
    fast = replace(Scene(back=99), drill=_with(failback="5s"))
    assert of(fast).verdict is Verdict.FAIL
    assert of(Scene(back=99)).verdict is Verdict.INCONCLUSIVE


def test_every_proof_is_needed() -> None:
    """A passing run stops passing when any record of a kind that proves something is taken out."""
    lines = Scene().lines()
    proofs = [n for n, line in enumerate(lines) if _is_proof(line.body)]
    for n in proofs:
        rest = [line for m, line in enumerate(lines) if m != n]
        assert judge(rest).verdict is not Verdict.PASS, lines[n].body


def _is_proof(body: Body) -> bool:
    if isinstance(body, FaultEvent):
        return body.state in (FaultState.CONFIRMED, FaultState.CONFIRMED_REVERTED)
    # A second of a client; the very first may be missing, and so may any of a region's own entry.
    if isinstance(body, Samples):
        return body.stream != DIRECT_EU and body.due[0] > 1002.5
    return isinstance(body, PhaseStart | Activity | Outstanding | End) or _is(body, "completeness")


def test_the_order_of_streams_in_the_file_does_not_matter() -> None:
    lines = Scene().lines()
    batches = [line for line in lines if isinstance(line.body, Samples)]
    random.Random(1).shuffle(batches)  # noqa: S311 - a test's shuffle
    rest = [line for line in lines if not isinstance(line.body, Samples)]
    assert judge([rest[0], *batches, *rest[1:]]) == judge(lines)


def test_evidence_that_is_none_is_refused_with_its_line() -> None:
    lines = Scene().lines()
    with pytest.raises(ValueError, match="line 1: the header is missing"):
        judge(lines[1:])
    with pytest.raises(ValueError, match="line 1: the header is missing"):
        judge([])
    with pytest.raises(ValueError, match="a second header"):
        judge([*lines, lines[0]])
    batch = Samples(stream="ghost", due=[], latency=[], ok=[], region=[], error=[])
    with pytest.raises(ValueError, match="'ghost' is not in the header"):
        judge(adding(Scene(), (5.0, batch)))
    batch = Samples(stream=FRESH, due=[1.0], latency=[], ok=[], region=[], error=[])
    with pytest.raises(ValueError, match="differ in length"):
        judge(adding(Scene(), (5.0, batch)))


def test_a_slow_answer_counts_as_bad() -> None:
    def slow(name: str, t: float) -> Answer | None:
        return (0.8, True, "eu", None) if T0 + 1.2 <= t < 30 and "entry" in name else None

    patient, result = of(Scene(answer=slow)), of(Scene(answer=slow, drill={"client": {"slow": "500ms"}}))
    assert (patient.verdict, result.verdict) == (Verdict.PASS, Verdict.FAIL)
    assert "were answered, but slower than 0.5 s" in objective(result, "availability").detail
    assert "slower" not in objective(patient, "availability").detail


@pytest.mark.parametrize("kinds", [{"reading"}, {"reading", "completeness"}, {"failback"}])
def test_probes_alone_are_no_pass_whatever_they_say(kinds: set[str]) -> None:
    """Everything is green but for clients, of whom nothing was asked."""
    chosen = [o for o in DRILL["objectives"] if o["kind"] in kinds]
    result = of(Scene(drill={"objectives": chosen}))
    assert [o.met for o in result.objectives] == [True] * len(chosen)
    assert (result.verdict, result.exit_code) == (Verdict.INCONCLUSIVE, 12)
    assert "user-service: no objective says what its clients may feel" in result.sentence


@pytest.mark.parametrize("kind", ["rto", "availability"])
def test_one_objective_of_clients_is_enough(kind: str) -> None:
    chosen = [o for o in DRILL["objectives"] if o["kind"] == kind]
    assert of(Scene(drill={"objectives": chosen})).verdict is Verdict.PASS


def _is(body: Body, name: str) -> bool:
    return isinstance(body, Check) and body.name.startswith(name)


def _with(**objectives: str) -> dict[str, Any]:
    changed = [
        {**o, "objective": objectives[o["kind"]]} if o["kind"] in objectives else o for o in DRILL["objectives"]
    ]
    return {"objectives": changed}
