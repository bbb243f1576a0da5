"""A bar that shows how much of an objective was used up."""

from __future__ import annotations

from markupsafe import Markup

from blackstart.report.format import DURATIONS, SHARES, measure
from blackstart.report.svg import BAD, GOOD, MUTED, TEXT, TRACK, UNSURE, element, line, rect
from blackstart.schema.result import ObjectiveResult

_WIDTH, _HEIGHT, _SCALE = 168.0, 22.0, 1.6
_UNIT = _WIDTH / _SCALE


def bullet(objective: ObjectiveResult) -> Markup | None:
    """Measured over allowed, the objective at the tick; None where there is nothing to draw to scale."""
    used = _used(objective, objective.measured)
    beyond = objective.measured is None and objective.high is None and bool(objective.low)
    if used is None and beyond:
        used = _used(objective, objective.low)
    if used is None:
        return None
    ink = {True: GOOD, False: BAD, None: UNSURE}[objective.met]
    length = min(used, _SCALE) * _UNIT
    parts = [
        rect(0, 6, _WIDTH, 10, TRACK, rx=2),
        rect(0, 6, max(length, 2.0), 10, ink, rx=2),
        line(_UNIT, 2, _UNIT, 20, TEXT, stroke_width=2),
    ]
    low, high = _used(objective, objective.low), _used(objective, objective.high)
    if low is not None and high is not None and (high - low) * _UNIT > 3:
        start, end = min(low, _SCALE) * _UNIT, min(high, _SCALE) * _UNIT
        parts.append(line(start, 11, end, 11, MUTED, stroke_width=2))
    if beyond or used > _SCALE:
        tip = _WIDTH if used > _SCALE else length
        parts.append(element("path", d=f"M{tip - 1:.1f} 4l7 7-7 7z", class_=ink.name, fill=ink.colour))
    label = f"{used:.0%} of the objective used" if not beyond else f"more than {used:.0%} of the objective used"
    return element(
        "svg",
        element("title", label),
        element("desc", f"Measured {measure(objective.kind, objective.measured)}, objective {objective.objective}."),
        *parts,
        viewBox=f"0 0 {_WIDTH + 8:g} {_HEIGHT:g}",
        width=_WIDTH + 8,
        height=_HEIGHT,
        role="img",
    )


def _used(objective: ObjectiveResult, value: float | None) -> float | None:
    """What was used of what was allowed, 1 at the objective; None without a scale."""
    bound = objective.bound
    if value is None or bound is None:
        return None
    if objective.kind in (*DURATIONS, "lost-writes"):
        return value / bound if bound > 0 else None
    if objective.kind in SHARES:
        return (1 - value) / (1 - bound) if bound < 1 - 1e-12 else None
    return None
