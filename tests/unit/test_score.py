"""The rubric in figures."""

from __future__ import annotations

from typing import Any

import pytest
from evidence_builder import FLEET, Scene, aborted

from blackstart.fleet.model import Fleet
from blackstart.judge import judge
from blackstart.judge.score import score, utility
from blackstart.schema.result import ObjectiveResult, Verdict

SERVICE = FLEET["services"]["user-service"]


def fleet(**tiers: int) -> Fleet:
    services = {name: {**SERVICE, "tier": tier} for name, tier in tiers.items()}
    return Fleet.model_validate({**FLEET, "services": services, "roles": {}})


def result(kind: str, **more: Any) -> ObjectiveResult:
    base: dict[str, Any] = {
        "service": "a", "kind": kind, "objective": "", "measured": None, "resolution": None, "met": None,
    }  # fmt: skip
    return ObjectiveResult(**{**base, **more})


def rto(seconds: float, bound: float = 10.0, service: str = "a") -> ObjectiveResult:
    return result(
        "rto", service=service, measured=seconds, low=seconds, high=seconds, bound=bound, met=seconds <= bound
    )


@pytest.mark.parametrize(("x", "u"), [(0, 1), (0.5, 0.9), (1, 0.8), (1.5, 0.4), (2, 0), (9, 0)])
def test_utility(x: float, u: float) -> None:
    assert utility(x) == pytest.approx(u)


def test_one_dimension_is_the_whole_score() -> None:
    found = score([rto(5.0)], fleet(a=0), Verdict.PASS)
    assert found is not None
    assert (found.low, found.high, found.grade) == (90.0, 90.0, "A")
    assert "loss" in found.not_rehearsed
    assert "rto" not in found.not_rehearsed


def test_weights_are_scaled_to_what_is_rehearsed() -> None:
    found = score(
        [rto(10.0), result("completeness", low=1.0, high=1.0, bound=1.0, met=True)], fleet(a=0), Verdict.PASS
    )
    assert found is not None
    assert found.low == pytest.approx(100 * 0.8 ** (0.25 / 0.40), abs=0.05)


def test_unknown_is_an_interval_and_the_grade_stands_on_its_low_end() -> None:
    found = score([rto(0.0), result("reading")], fleet(a=0), Verdict.INCONCLUSIVE)
    assert found is not None
    assert (found.low, found.high, found.grade) == (0.0, 74.0, "F")


def test_half_of_the_score_is_the_worst_of_the_most_critical() -> None:
    found = score([rto(0.0, service="a"), rto(10.0, service="b")], fleet(a=1, b=0), Verdict.PASS)
    assert found is not None
    assert found.low == pytest.approx(80 / 2 + 90 / 2)


def test_a_tier_0_service_that_misses_its_rto_caps_the_score() -> None:
    found = score([rto(11.0)], fleet(a=0), Verdict.FAIL)
    assert found is not None
    assert found.low == 59.0
    assert any("at most 59" in cap for cap in found.caps)


def test_a_zero_tolerance_objective_is_all_or_nothing() -> None:
    found = score([result("availability", low=0.9999, high=0.9999, bound=1.0, met=False)], fleet(a=0), Verdict.FAIL)
    assert found is not None
    assert found.high == 0.0


def test_a_grade_on_the_edge_says_that_it_flips() -> None:
    on_edge = score([rto(7.0), result("failback", low=0.0, high=0.0, bound=10.0, met=True)], fleet(a=0), Verdict.PASS)
    clear = score([rto(1.0)], fleet(a=0), Verdict.PASS)
    assert on_edge is not None
    assert clear is not None
    assert (on_edge.grade, on_edge.flips) == ("B", True)
    assert (clear.grade, clear.flips) == ("A", False)


def test_nothing_is_scored_that_was_not_rehearsed() -> None:
    assert score([rto(1.0)], fleet(a=0), Verdict.INVALID) is None
    assert score([rto(1.0)], fleet(a=0), Verdict.BLOCKED) is None


def test_an_aborted_drill_is_never_rated_a_or_b() -> None:
    found = judge(aborted(at=6)).score
    assert found is not None
    assert found.high <= 74.0


def test_the_score_of_a_clean_drill() -> None:
    found = judge(Scene().lines()).score
    assert found is not None
    assert found.low == pytest.approx(97.8, abs=0.1)
    assert found.high - found.low < 0.2
