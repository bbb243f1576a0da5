"""`honest`: seconds in which a view claimed what was not so. Never green without knowing what was."""

from __future__ import annotations

import pytest
from evidence_builder import T0
from hypothesis import given, settings
from hypothesis import strategies as st
from viewkit import HONEST, Said, Views, so, whole

from blackstart.evidence.records import Reason
from blackstart.schema.result import Verdict


def blind(t: float) -> Said:
    """What an honest view says while it has lost a region, and what a plain query makes of that."""
    return (Reason.PARTIAL, 3.0) if 14 <= t < 34 else (6.0, 6.0)


def lying(t: float) -> Said:
    return (3.0, 3.0) if 14 <= t < 34 else (6.0, 6.0)


def test_a_view_that_says_no_data_is_honest_and_a_plain_query_is_not() -> None:
    result = Views(blind).judged()
    assert result.verdict is Verdict.PASS, result.reasons
    (view,) = result.views
    assert (view.wrong_s, view.unknown_s, view.silent_s) == (0, 0, pytest.approx(19, abs=1))
    assert view.plain_wrong_s == pytest.approx(21, abs=1)
    found = Views(blind).honesty()
    assert (found.met, found.measured, found.low, found.high) == (True, 0, 0, 0)
    assert "a plain query was wrong for 2" in found.detail


def test_a_view_that_claims_what_is_not_so_fails() -> None:
    result = Views(lying).judged()
    assert result.verdict is Verdict.FAIL
    assert "global-pods wrong for <= 0 s" in "\n".join(result.reasons)
    found = Views(lying).honesty()
    assert (found.met, found.measured) == (False, pytest.approx(21, abs=1))


def test_an_allowance_is_kept_to_the_second() -> None:
    once = Views(lambda t: (3.0, 3.0) if t == 20 else (6.0, 6.0), honest=[{**HONEST, "objective": "2s"}])
    assert (once.honesty().met, once.honesty().measured) == (True, 2.0)
    strict = Views(once.view, honest=[{**HONEST, "objective": "1s"}])
    assert strict.honesty().met is False


def test_the_second_by_second_table_has_no_gap_and_no_repeat() -> None:
    (view,) = Views(blind).judged().views
    assert [s.start_s for s in view.stretches[1:]] == [s.end_s for s in view.stretches[:-1]]
    assert view.stretches[-1].end_s - view.stretches[0].start_s == view.watched_s
    assert view.stretches[0].start_s == -11
    middle = next(s for s in view.stretches if s.start_s <= 10 < s.end_s)
    assert (middle.true, middle.claimed, middle.no_data, middle.plain) == (6.0, None, "partial", 3.0)
    assert (middle.view, middle.plain_view) == ("silent", "wrong")


def test_a_true_change_may_be_told_late_by_the_lag_and_no_longer() -> None:
    def scaled(t: float) -> dict[str, float | Reason]:
        return {"us": 3.0, "eu": 2.0 if t >= 20 else 3.0}

    def after(late: float) -> Views:
        return Views(lambda t: (5.0, 5.0) if t >= 20 + late else (6.0, 6.0), scaled)

    assert after(4).honesty().met is True
    assert after(9).honesty().met is False


def test_samples_that_linger_are_wrong_once_the_truth_has_changed() -> None:
    """A federation goes on with three pods in eu for five minutes; the honest view says that they are of before."""

    def scaled(t: float) -> dict[str, float | Reason]:
        return {"us": 3.0, "eu": 2.0 if t >= 14 else 3.0}

    (view,) = Views(lambda t: (Reason.STALE, 6.0) if t >= 14 else (6.0, 6.0), scaled).judged().views
    assert (view.wrong_s, view.plain_wrong_s > 20) == (0, True)


@pytest.mark.parametrize(
    ("views", "said"),
    [
        (Views(truth=lambda t: {"us": 3.0, "eu": Reason.REFUSED} if t >= 14 else so(t)), "did not tell what was so"),
        (Views(blind, truth=lambda t: None if t >= 14 else so(t)), "ready did not tell what was so"),
        (Views(truth=lambda t: {"us": 3.0} if t >= 14 else so(t)), "ready did not tell what was so"),
        (Views(truth=lambda t: None), "never claimed what ready says"),
        (Views(lambda t: None), "probe global-pods was not read"),
        (Views(lambda t: None if t >= 14 else whole(t)), "was silent for"),
        (Views(lambda t: (Reason.REFUSED, None)), "never claimed what ready says"),
        (Views(lambda t: (Reason.PARTIAL, 6.0) if t < T0 else whole(t)), "never claimed what ready says"),
        (Views(lambda t: (float("nan"), None)), "never claimed what ready says"),
    ],
)
def test_without_both_sides_it_is_not_known(views: Views, said: str) -> None:
    found = views.honesty()
    assert found.met is None, found.detail
    assert said in found.detail
    assert views.judged().verdict is Verdict.INCONCLUSIVE


def test_a_lie_is_a_lie_whatever_is_missing_besides() -> None:
    found = Views(lying, truth=lambda t: None if t >= 28 else so(t)).honesty()
    assert found.met is False
    assert found.measured is not None
    assert found.measured > 10


@given(st.data())
@settings(max_examples=40)
def test_one_wrong_claim_is_never_a_pass(data: st.DataObject) -> None:
    at = data.draw(st.integers(3, 45))
    value = data.draw(st.floats(-1e6, 1e6).filter(lambda v: abs(v - 6) > 1e-3))
    result = Views(lambda t: (value, None) if t == at else blind(t)).judged()
    # In the first seconds it may be late by less than the lag: what was so before them nobody read.
    assert result.verdict is (Verdict.FAIL if at > 6 else Verdict.INCONCLUSIVE)


@given(st.integers(10, 35), st.integers(8, 12))
@settings(max_examples=30)
def test_truth_that_is_missing_for_longer_than_the_lag_is_never_a_pass(start: int, length: int) -> None:
    views = Views(blind, truth=lambda t: None if start <= t < start + length else so(t))
    assert views.judged().verdict is not Verdict.PASS


@given(st.lists(st.tuples(st.integers(14, 40), st.sampled_from(list(Reason))), max_size=20))
@settings(max_examples=30)
def test_saying_less_is_never_wrong(gaps: list[tuple[int, Reason]]) -> None:
    said = dict(gaps)
    views = Views(lambda t: (said[int(t)], 3.0) if int(t) in said else whole(t))
    assert views.honesty().met is True
    assert views.judged().views[0].plain_wrong_s >= len(said)
