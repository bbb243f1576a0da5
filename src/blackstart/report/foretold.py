"""A forecast as people read it, alone and beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blackstart.report.format import DASH, plain, seconds
from blackstart.report.format import span as between
from blackstart.schema.forecast import Capacity, Compared, Expected, Figure, Forecast, Foreseen
from blackstart.schema.result import Result

NAMES: dict[Figure, str] = {
    "taken_out": "Taken out of the routing",
    "recovered": "Recovered for good",
    "failback": "Failed back",
}
_INSIDE = {True: ("good", "yes"), False: ("unsure", "no"), None: ("unsure", "unknown")}
_LEAST = 0.005
"""An error that is printed as 0.00 s is none."""


@dataclass(frozen=True)
class FigureRow:
    """One time: foretold and measured, and how far outside of the forecast's bounds that is."""

    name: str
    expected: str
    measured: str
    error: str
    tone: str
    word: str


@dataclass(frozen=True)
class ForecastRow:
    """The forecast of one service. summary: whose word it is; sentence: all of it in one."""

    figures: Sequence[FigureRow]
    summary: str
    sentence: str
    assumptions: Sequence[str]
    capacity: str


def forecast_rows(result: Result) -> dict[str, ForecastRow]:
    """One forecast a service."""
    return {service: _row(found) for service, found in result.forecasts.items()}


def _row(found: Foreseen) -> ForecastRow:
    forecast = found.forecast
    figures = [_figure(each) for each in found.compared]
    told = "; ".join(
        f"{f.name.lower()}: forecast {f.expected}, measured {f.measured}, error {f.error}" for f in figures
    )
    none = f"no forecast: {forecast.reason}"
    return ForecastRow(
        figures=figures,
        summary=none if forecast.reason else f"Forecast by what is configured: {forecast.by}",
        sentence=none if forecast.reason else told,
        assumptions=forecast.assumptions,
        capacity=capacity(forecast.capacity) if forecast.capacity else "",
    )


def _figure(each: Compared) -> FigureRow:
    tone, word = _INSIDE[each.inside]
    measured = (
        DASH if each.inside is None else "not while watched" if each.measured is None else seconds(each.measured)
    )
    return FigureRow(NAMES[each.figure], expected(each.expected), measured, error(each), tone, word)


def error(each: Compared) -> str:
    """`none`, `0.30 s later`, `0.30 s sooner`; a dash where that is not a number of seconds."""
    if each.error is None:
        return DASH
    if abs(each.error) < _LEAST:
        return "none"
    return f"{seconds(abs(each.error))} {'later' if each.error > 0 else 'sooner'}"


def expected(time: Expected) -> str:
    """`0.30 to 1.40 s`, `0 s`, `1.50 s or later`, `not while the fault lasts`."""
    if time.low is None:
        return "not while the fault lasts"
    if time.high is None:
        return f"{seconds(time.low)} or later, perhaps not while the fault lasts"
    return between("rto", time.low, time.high) or seconds(time.low)


def brief(forecast: Forecast) -> str:
    """A forecast in one line."""
    if forecast.reason:
        return f"none: {forecast.reason}"
    return ", ".join(f"{NAMES[figure].lower()} {expected(time)}" for figure, time in forecast.expected().items())


def capacity(found: Capacity) -> str:
    """What is asked of the survivors, and whether they can carry it."""
    others = "other traffic unknown" if found.others is None else f"{plain(found.others)}/s by others"
    asked = f"{plain(found.clients)} requests/s by the drill, {others}"
    if found.ready is None:
        return f"Survivors: {asked}; ready pods unknown"
    pods = ", ".join(f"{ready} in {region}" for region, ready in found.ready.items()) or "none"
    each = "what a pod can take is unknown" if found.per_pod is None else f"a pod takes {plain(found.per_pod)}/s"
    enough = {True: "enough", False: "NOT ENOUGH", None: "whether that is enough is unknown"}[found.enough]
    return f"Survivors: {asked}; ready pods: {pods}; {each}: {enough}"
