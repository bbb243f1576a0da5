"""Arithmetic of expected times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from blackstart.schema.forecast import Expected

NEVER = Expected(low=None, high=None)
AT_ONCE = Expected(low=0.0, high=0.0)


def span(low: float, high: float | None) -> Expected:
    """Between two times, rounded to milliseconds; nothing here is known better."""
    return Expected(low=round(max(0.0, low), 3), high=None if high is None else round(max(0.0, high), 3))


def several(times: Sequence[float]) -> Expected:
    """One of several times; inf: not while the fault lasts."""
    low, high = min(times), max(times)
    return NEVER if low == inf else span(low, None if high == inf else high)


def later(of: Expected, by: Expected) -> Expected:
    """One time after another."""
    if of.low is None or by.low is None:
        return NEVER
    return span(of.low + by.low, None if of.high is None or by.high is None else of.high + by.high)


def last(of: Iterable[Expected]) -> Expected:
    """When the last of several has come to pass."""
    spans = list(of)
    lows = [s.low for s in spans if s.low is not None]
    highs = [s.high for s in spans if s.high is not None]
    if len(lows) < len(spans):
        return NEVER
    return span(max(lows), max(highs) if len(highs) == len(spans) else None)
