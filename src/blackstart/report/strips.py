"""What runs across a timeline: phases, the fault, the axis, the markers."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from markupsafe import Markup

from blackstart.evidence.history import History
from blackstart.evidence.records import Phase
from blackstart.report.markers import Marker, undone_at
from blackstart.report.plot import LEFT, RIGHT, ROW, STRIP, WIDTH, Plot
from blackstart.report.svg import FAULT, GRID, MUTED, PAPER, PHASES, TEXT, line, rect, text


def phase_strip(history: History, plot: Plot, bottom: float) -> list[Markup]:
    """The phases in a row, each with a line down to the `bottom`."""
    parts = []
    shown = [(p, w) for p, w in history.phases.items() if p is not Phase.PREFLIGHT and w.end > plot.window.start]
    for index, (phase, window) in enumerate(shown):
        x, end = plot.x(window.start), plot.x(window.end)
        parts.append(rect(x, 0, end - x, STRIP, PHASES[index % 2]))
        if end - x > 6.2 * len(phase.value) + 6:
            parts.append(text((x + end) / 2, 12.5, phase.value, TEXT, text_anchor="middle", font_size=10.5))
        if index:
            parts.append(line(x, STRIP, x, bottom, GRID))
    return parts


def fault_strip(history: History, plot: Plot, bottom: float) -> list[Markup]:
    """The time during which the fault was in place."""
    begun = [fault.t0.earliest for fault in history.broken if fault.t0]
    if not begun:
        return []
    undone = undone_at(history)
    x, end = plot.x(min(begun)), plot.x(undone if undone is not None else plot.window.end)
    y = STRIP + 2
    parts = [rect(x, y, end - x, bottom - y, FAULT, fill_opacity=0.045), rect(x, y, end - x, STRIP - 2, FAULT)]
    label = "fault in place" if undone is not None else "fault in place, not confirmed to be put back"
    if end - x > 6.4 * len(label):
        parts.append(text((x + end) / 2, y + 12, label, PAPER, text_anchor="middle", font_size=10.5, font_weight=600))
    return parts


def axis(plot: Plot, y: float) -> list[Markup]:
    """Seconds, from T0 where there is one."""
    step = next(
        s for s in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 86400) if plot.window.length / s <= 14
    )
    first = ceil((plot.window.start - plot.zero) / step)
    last = int((plot.window.end - plot.zero) // step)
    parts = [line(LEFT, y, WIDTH - RIGHT, y, MUTED)]
    for index in range(first, last + 1):
        x = plot.x(plot.zero + index * step)
        parts.append(line(x, y, x, y + 4, MUTED))
        parts.append(text(x, y + 16, f"{index * step}", MUTED, text_anchor="middle", font_size=10.5))
    unit = "seconds after T0" if plot.zero > plot.window.start else "seconds"
    return [*parts, text((LEFT + WIDTH - RIGHT) / 2, y + 32, unit, MUTED, text_anchor="middle")]


def marker_lines(plot: Plot, marks: Sequence[Marker], y: float, bottom: float) -> list[Markup]:
    """A line through all panels for each marker."""
    return [
        line(plot.x(m.t), y, plot.x(m.t), bottom, TEXT, stroke_dasharray=m.dash or None, stroke_width=1.3)
        for m in marks
    ]


def flags_of(plot: Plot, marks: Sequence[Marker]) -> tuple[list[Markup], int]:
    """Labels above the panels, stacked where they would overlap, each with a stem to its line."""
    ends: list[float] = []
    placed: list[tuple[Marker, str, bool, int]] = []
    for mark, label in reversed(_together(plot, marks)):
        width, x = 6.6 * len(label) + 12, plot.x(mark.t)
        flip = x + width > WIDTH
        start, end = (x - width, x) if flip else (x, x + width)
        lane = next((i for i, left in enumerate(ends) if end < left), len(ends))
        ends[lane : lane + 1] = [start]
        placed.append((mark, label, flip, lane))
    lanes = len(ends)
    parts: list[Markup] = []
    for mark, label, flip, lane in placed:
        x, bottom = plot.x(mark.t), 2 * STRIP + 8 + lanes * ROW
        y = bottom - lane * ROW - 8
        parts.append(line(x, y - 9, x, bottom, TEXT, stroke_dasharray=mark.dash or None, stroke_width=1.3))
        anchor, inside = ("end", -5.0) if flip else ("start", 5.0)
        parts.append(text(x + inside, y, label, TEXT, text_anchor=anchor, font_weight=600))
    return parts, lanes


def _together(plot: Plot, marks: Sequence[Marker]) -> list[tuple[Marker, str]]:
    """Marks less than two units apart share one label."""
    groups: list[tuple[Marker, str]] = []
    for mark in marks:
        if groups and plot.x(mark.t) - plot.x(groups[-1][0].t) < 2:
            groups[-1] = (groups[-1][0], f"{groups[-1][1]}, {mark.label}")
        else:
            groups.append((mark, mark.label))
    return groups
