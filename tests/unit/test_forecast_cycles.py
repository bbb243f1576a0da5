"""Ejected hosts through a fault, event by event."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackstart.plan.forecast.cycles import Chance, Course, course
from blackstart.plan.forecast.settings import Outliers

OUTLIERS = Outliers(errors=3, interval=1.0, base=5.0, percent=100)
CHANCE = Chance(phase=0.5, counts=True, tight=False)


def run(lasts: float, outliers: Outliers = OUTLIERS, merge: float = 0.0, chance: Chance = CHANCE) -> Course:
    return course(outliers, [0.2, 0.2, 0.2], merge, lasts, 2.0, chance)


def near(gone: float, back: float) -> Course:
    return Course(pytest.approx(gone), pytest.approx(back))


def test_once_out_until_the_first_sweep_after_its_time() -> None:
    assert run(4.0) == near(0.2, 1.5)


def test_a_second_time_for_twice_as_long() -> None:
    # In at 5.5, out at 5.7, in again at the first sweep after 15.7.
    assert run(8.0) == near(5.7, 8.5)


def test_an_end_of_the_fault_before_they_are_out_again() -> None:
    assert run(5.6) == Course(inf, 0.0)
    assert run(0.1) == Course(inf, 0.0)


def test_a_sweep_that_finds_them_in_takes_one_off() -> None:
    slow = [1.2, 1.2, 1.2]
    # Out at 1.2, in at 6.5, swept at 7.5, out at 7.7; for 5 s if that sweep counts, else for 10 s.
    again = [course(OUTLIERS, slow, 0.0, 9.0, 2.0, replace(CHANCE, counts=counts)) for counts in (True, False)]
    assert again == [near(7.7, 4.5), near(7.7, 9.5)]


def test_workers_hear_of_the_others_a_merge_window_later() -> None:
    assert run(4.0, merge=1.0).gone == pytest.approx(1.2)


def test_what_workers_hear_after_the_fault_counts_too() -> None:
    # Two of three are in at its end, none from 1.2 on; one of three is back at 5.5, the others at 6.5.
    found = course(OUTLIERS, [0.2, 0.2, 0.2], 1.0, 0.5, 0.5, CHANCE)
    assert found == near(inf, 6.0)


def test_not_longer_than_envoy_allows() -> None:
    # 200 s, then 300 s in place of 400 s: out at 0.2, in at 200.5, out at 200.7, in at 501.5.
    found = run(250.0, Outliers(errors=3, interval=1.0, base=200.0, percent=100))
    assert found == near(200.7, 251.5)


@given(
    takes=st.lists(st.floats(0.01, 5.0), min_size=1, max_size=6),
    base=st.floats(0.05, 40.0),
    interval=st.floats(0.05, 20.0),
    merge=st.sampled_from([0.0, 1.0]),
    lasts=st.floats(0.1, 60.0),
    phase=st.floats(0.0, 1.0),
    counts=st.booleans(),
    tight=st.booleans(),
)
def test_every_course_ends_with_the_region_back(
    takes: list[float],
    base: float,
    interval: float,
    merge: float,
    lasts: float,
    phase: float,
    counts: bool,
    tight: bool,
) -> None:
    outliers = Outliers(errors=1, interval=interval, base=base, percent=100)
    found = course(outliers, takes, merge, lasts, 2.0, Chance(phase * interval, counts, tight))
    assert 0 <= found.back < inf
    assert found.gone == inf or max(takes) <= found.gone < lasts
