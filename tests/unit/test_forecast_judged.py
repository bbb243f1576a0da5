"""A forecast beside what was measured, in result.json and in reports; evidence without one is judged as before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from evidence_builder import Scene
from runkit import World, drill, parts

from blackstart.evidence.records import BODY, Foretold, Line, Phase, PhaseStart
from blackstart.judge import judge
from blackstart.report import html, markdown
from blackstart.report.foretold import brief, capacity
from blackstart.run.display import say
from blackstart.schema.forecast import Capacity, Expected, Figure, Forecast

SERVICE = "user-service"


def a_forecast(taken_out: tuple[float, float] = (1.0, 1.5), recovered: tuple[float, float] = (1.0, 1.5)) -> Forecast:
    return Forecast(
        by="the balancer's health checks",
        taken_out=Expected(low=taken_out[0], high=taken_out[1]),
        recovered=Expected(low=recovered[0], high=recovered[1]),
        failback=Expected(low=0, high=5),
        assumptions=["40 requests/s <each>"],
        capacity=Capacity(clients=40, ready={"eu": 3}),
    )


def told(forecast: Forecast, scene: Scene | None = None) -> list[Line]:
    """The evidence of a scene with a forecast: `us` is lost, `eu` takes over 1.2 s later."""
    return replace(scene or Scene(), forecast=forecast).lines()


def figures(lines: list[Line]) -> dict[Figure, tuple[float | None, bool | None]]:
    return {c.figure: (c.measured, c.inside) for c in judge(lines).forecasts[SERVICE].compared}


def test_measured_as_foretold() -> None:
    found = figures(told(a_forecast()))
    assert found["taken_out"] == (pytest.approx(1.2, abs=0.06), True)
    assert found["recovered"] == (pytest.approx(1.2, abs=0.06), True)
    assert found["failback"][1] is True


@pytest.mark.parametrize("scene", [Scene(), Scene(outage=60), Scene(how="aborted")])
@pytest.mark.parametrize("forecast", [a_forecast((0, 0.5), (0, 0)), Forecast(reason="no cluster answers")])
def test_a_forecast_changes_nothing_but_itself(forecast: Forecast, scene: Scene) -> None:
    lines = told(forecast, scene)
    assert judge(lines).forecasts[SERVICE].forecast == forecast
    without = [line for line in lines if line.body.type != "forecast"]
    assert judge(lines).model_copy(update={"forecasts": {}}) == judge(without)


def test_later_than_foretold() -> None:
    lines = told(a_forecast((0, 0.5), (0, 0)))
    found = figures(lines)
    assert (found["taken_out"][1], found["recovered"][1]) == (False, False)
    assert judge(lines).forecasts[SERVICE].compared[0].error == pytest.approx(0.7, abs=0.06)


@pytest.mark.parametrize(
    ("low", "high", "measured", "error"),
    [
        (1.0, 2.0, 1.5, 0.0),
        (1.0, 2.0, 2.5, 0.5),
        (1.0, 2.0, 0.5, -0.5),
        (1.0, None, 0.5, -0.5),
        (1.0, None, 9.0, 0.0),
        (1.0, None, None, 0.0),
        (1.0, 2.0, None, None),
        (None, None, None, 0.0),
        (None, None, 3.0, None),
    ],
)
def test_the_error_is_what_lies_outside(
    low: float | None, high: float | None, measured: float | None, error: float | None
) -> None:
    assert Expected(low=low, high=high).error(measured) == error


def test_never_while_the_fault_lasts() -> None:
    scene = Scene(outage=60)
    assert figures(told(a_forecast(), scene))["taken_out"] == (None, False)
    never = Expected(low=None, high=None)
    found = figures(told(a_forecast().model_copy(update={"taken_out": never, "recovered": never}), scene))
    assert (found["taken_out"], found["recovered"]) == ((None, True), (None, True))


def test_requests_that_are_held_up_are_trouble_even_when_clients_get_their_answer() -> None:
    def slowly(name: str, t: float) -> tuple[float, bool, str, None] | None:
        return (0.4, True, "eu", None) if "entry" in name and 13.0 <= t < 14.0 else None

    found = figures(told(a_forecast((0.9, 1.2), (0, 0)), Scene(outage=0, answer=slowly)))
    assert found["taken_out"] == (pytest.approx(1.0, abs=0.06), True)
    assert found["recovered"] == (0.0, True)


def test_the_first_quiet_second_counts_not_what_comes_after() -> None:
    found = figures(told(a_forecast(), Scene(bad=[(20.0, 20.5)])))
    assert found["taken_out"][1] is True


def test_evidence_without_a_forecast_and_without_t0() -> None:
    assert judge(Scene().lines()).forecasts == {}
    lines = [line for line in told(a_forecast()) if line.body.type != "fault"]
    assert {inside for _, inside in figures(lines).values()} == {None}


def test_reports_show_both() -> None:
    lines = told(a_forecast())
    page, summary = html(judge(lines), lines), markdown(judge(lines), lines)
    assert "1.00 to 1.50 s" in page
    assert "40 requests/s &lt;each&gt;" in page
    assert "whether that is enough is unknown" in page
    assert "recovered for good: forecast 1.00 to 1.50 s, measured 1.2" in summary
    lines = told(a_forecast((0, 0.5), (0, 0)))
    assert "0.70 s later" in html(judge(lines), lines)
    lines = told(Forecast(reason="no cluster answers"))
    for report in html(judge(lines), lines), markdown(judge(lines), lines):
        assert "no forecast: no cluster answers" in report


def test_in_a_line() -> None:
    assert brief(a_forecast()).startswith("taken out of the routing 1.00 to 1.50 s, recovered for good 1.00")
    assert brief(Forecast(reason="x")) == "none: x"
    told = say(Foretold(services={SERVICE: a_forecast()}))
    assert told is not None
    assert told.text.startswith("forecast user-service: taken out")
    enough = Capacity(clients=40, others=60, ready={"eu": 3, "as": 2}, per_pod=50)
    assert capacity(enough).endswith("60/s by others; ready pods: 3 in eu, 2 in as; a pod takes 50/s: enough")
    assert "NOT ENOUGH" in capacity(Capacity(clients=40, ready={}))


def test_a_record_is_read_back() -> None:
    body = Foretold(services={SERVICE: a_forecast()})
    assert BODY.validate_json(body.model_dump_json()) == body


def run(folder: Path, foretell: Callable[[], dict[str, Forecast]]) -> list[Line]:
    return asyncio.run(drill(folder, parts(World(folder), foretell=foretell)))[1]


def test_it_is_written_before_anything_is_broken(tmp_path: Path) -> None:
    lines = run(tmp_path, lambda: {SERVICE: a_forecast()})
    kinds = [line.body for line in lines]
    [at] = [n for n, body in enumerate(kinds) if isinstance(body, Foretold)]
    baseline = next(n for n, b in enumerate(kinds) if isinstance(b, PhaseStart) and b.phase is Phase.BASELINE)
    assert at < baseline
    assert judge(lines).forecasts[SERVICE].forecast == a_forecast()


def test_a_forecast_that_fails_costs_nothing_but_itself(tmp_path: Path) -> None:
    def fail() -> dict[str, Forecast]:
        raise ValueError("a bug")

    lines = run(tmp_path, fail)
    found = judge(lines)
    assert found.forecasts[SERVICE].forecast == Forecast(reason="ValueError: a bug")
    assert found.model_copy(update={"forecasts": {}}) == judge([x for x in lines if x.body.type != "forecast"])


def test_a_forecast_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.run.supervisor.LOOK_DEADLINE", 0.2)
    released = threading.Event()

    def slow() -> dict[str, Forecast]:
        released.wait(30)
        return {}

    lines = run(tmp_path, slow)
    released.set()
    found = judge(lines)
    assert found.forecasts[SERVICE].forecast.reason == "the configuration was not read within 0.2 s"
    assert any(isinstance(x.body, PhaseStart) and x.body.phase is Phase.SETTLE for x in lines)
