"""The clock, to the sample."""

from __future__ import annotations

import pytest
from evidence_builder import FRESH, KEPT, T0, UNDONE, Answer, Scene
from hypothesis import given, settings
from hypothesis import strategies as st

from blackstart.evidence.history import fold
from blackstart.judge.case import Case
from blackstart.judge.clock import Times, times
from blackstart.judge.steady import Series


def clock(scene: Scene) -> Times:
    return times(Case.of(fold(scene.lines())), "user-service")


def test_an_outage_is_measured_to_the_sample() -> None:
    found = clock(Scene(outage=4.0))
    assert found.detected == 0.0
    assert found.recovered is not None
    assert found.recovered.measured == pytest.approx(4.004)
    assert found.recovered.low == pytest.approx(3.95 - 0.02)
    assert found.moved == pytest.approx(4.004)
    assert found.resolution == pytest.approx(0.07)


def test_no_interruption_is_zero_with_the_resolution_of_the_client() -> None:
    found = clock(Scene(outage=0))
    assert found.recovered is not None
    assert (found.recovered.low, found.recovered.high, found.recovered.measured) == (0.0, 0.05, 0.0)
    assert found.moved == 0.0
    assert found.detected == pytest.approx(0.0, abs=0.05)  # another region answers


def test_detection_counts_requests_in_flight_at_t0() -> None:
    def cut(name: str, t: float) -> Answer | None:
        return (0.5, False, None, "timeout") if name == FRESH and T0 - 0.06 < t < T0 else None

    assert clock(Scene(answer=cut, outage=0)).detected == 0.0


def test_the_kept_connection_counts_as_much_as_the_fresh_one() -> None:
    def stuck(name: str, t: float) -> Answer | None:
        return (1.0, False, None, "timeout") if name == KEPT and T0 <= t < T0 + 7 else None

    found = clock(Scene(answer=stuck, outage=0.5))
    assert found.recovered is not None
    assert found.recovered.measured == pytest.approx(7.004, abs=0.051)


def test_requests_that_waited_do_not_hide_the_outage() -> None:
    """A frozen region answers everything when it thaws: the first answer counts, not the first request."""

    def frozen(name: str, t: float) -> Answer | None:
        if "entry" not in name or not T0 - 0.01 <= t < T0 + 3:
            return None
        return (1.0, False, None, "timeout") if t < T0 + 2 else (T0 + 3 - t, True, "eu", None)

    found = clock(Scene(answer=frozen))
    assert found.recovered is not None
    assert found.recovered.measured == pytest.approx(3.0, abs=0.06)


def test_traffic_that_never_leaves_has_not_moved() -> None:
    def half(name: str, t: float) -> Answer | None:
        return (0.004, True, "us", None) if name == KEPT and t > T0 else None

    assert clock(Scene(answer=half)).moved is None


def test_t0_is_the_union_of_the_faults() -> None:
    found = clock(Scene(t0=(T0, T0 + 0.4)))
    assert found.recovered is not None
    assert found.recovered.low == pytest.approx(1.15 - 0.4)
    assert found.recovered.high == pytest.approx(1.204)


def test_failback_counts_from_the_confirmed_undo_until_home_serves() -> None:
    found = clock(Scene(back=UNDONE + 3))
    assert found.failback is not None
    assert found.failback.measured == pytest.approx(3.004)
    assert found.failback.low == pytest.approx(2.95)


def test_home_before_the_undo_is_confirmed_is_no_time_at_all() -> None:
    found = clock(Scene(back=UNDONE - 0.5))
    assert found.failback is not None
    assert found.failback.measured == 0.0


def test_a_second_outage_during_the_failback_counts() -> None:
    found = clock(Scene(back=UNDONE, bad=[(39.0, 40.0)]))
    assert found.failback is not None
    assert found.failback.measured == pytest.approx(4.004)


def test_both_regions_must_serve_again_where_both_did_before() -> None:
    def shared(name: str, t: float) -> Answer | None:
        if "entry" not in name or T0 <= t < UNDONE + 2:
            return None
        return (0.004, True, "us" if round(t * 20) % 2 else "eu", None)

    found = clock(Scene(answer=shared, back=99))
    assert found.failback is not None
    assert found.failback.measured == pytest.approx(2.0, abs=0.11)


def test_a_stray_answer_in_the_baseline_need_not_come_back() -> None:
    def stray(name: str, t: float) -> Answer | None:
        return (0.004, True, "eu", None) if name == FRESH and t == 5.0 else None

    found = clock(Scene(answer=stray, back=UNDONE + 1))
    assert found.failback is not None
    assert found.failback.measured == pytest.approx(1.004)


def test_a_service_that_never_recovers_has_a_lower_bound() -> None:
    found = clock(Scene(outage=60))
    assert found.recovered is not None
    assert found.recovered.high is None
    assert found.recovered.low == pytest.approx(20.98)


def test_a_recovery_too_late_to_be_proven_is_open() -> None:
    found = clock(Scene(outage=19.0))
    assert found.recovered is not None
    assert found.recovered.high is None
    assert found.recovered.low == pytest.approx(18.98)


flags = st.lists(st.booleans(), min_size=1, max_size=60)


@given(flags, st.sampled_from([0.5, 0.8, 0.99, 1.0]), st.integers(1, 12))
@settings(deadline=None)
def test_steady_from_agrees_with_its_definition(good: list[bool], success: float, length: int) -> None:
    """Compared with every window counted by hand."""
    count = len(good)
    series = Series([float(i) for i in range(count)], good, 1.0, float(count))

    def window_ok(start: int) -> bool:
        return sum(good[start : start + length]) >= success * length - 1e-9

    starts = range(count - length + 1)
    expected = next((i for i in starts if good[i] and all(window_ok(j) for j in starts if j >= i)), None)
    assert series.steady_from(success, float(length)) == expected


@given(flags, st.data())
@settings(deadline=None)
def test_a_bad_sample_never_brings_recovery_forward(good: list[bool], data: st.DataObject) -> None:
    worse = list(good)
    worse[data.draw(st.integers(0, len(good) - 1))] = False
    dues = [float(i) for i in range(len(good))]
    before, after = (Series(dues, f, 1.0, float(len(good))) for f in (good, worse))
    late = float(len(good))
    assert (after.steady_from(0.8, 5.0) or (late if after.steady_from(0.8, 5.0) is None else 0)) >= (
        before.steady_from(0.8, 5.0) or (late if before.steady_from(0.8, 5.0) is None else 0)
    )
    assert after.still_possible(0.8, 5.0) >= before.still_possible(0.8, 5.0)
