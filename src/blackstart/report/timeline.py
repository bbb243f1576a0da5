"""One figure of a service's run: traffic per region, failures, latency, fault and phases on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10

from markupsafe import Markup

from blackstart.evidence.history import History, Window
from blackstart.evidence.records import Phase
from blackstart.report.buckets import Bucket, fill, width_for
from blackstart.report.markers import Marker, markers, undone_at
from blackstart.report.svg import (
    BAD,
    DASHES,
    FAULT,
    GRID,
    MUTED,
    PAPER,
    PHASES,
    REGIONS,
    TEXT,
    Ink,
    element,
    line,
    rect,
    steps,
    text,
)
from blackstart.schema.result import Clock

WIDTH, LEFT, RIGHT = 960.0, 64.0, 14.0
_ROW, _STRIP, _GAP = 16.0, 18.0, 26.0
_TRAFFIC, _FAILED, _LATENCY = 150.0, 64.0, 76.0
TABLE_ROWS = 120


@dataclass(frozen=True)
class Legend:
    """One line of the legend: a name with its colour and dash."""

    name: str
    ink: Ink
    dash: str


@dataclass(frozen=True)
class Figure:
    """A drawn timeline with what a reader needs beside it. `rows`: the same figures as a table."""

    service: str
    svg: Markup
    legend: Sequence[Legend]
    markers: Sequence[Marker]
    regions: Sequence[str]
    rows: Sequence[Bucket]
    zero: float
    bucket: float
    table_bucket: float


@dataclass(frozen=True)
class _Plot:
    """Time to place: the span drawn, and where the axis has its zero."""

    window: Window
    zero: float

    def x(self, t: float) -> float:
        share = (min(max(t, self.window.start), self.window.end) - self.window.start) / self.window.length
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def timeline(history: History, service: str, clock: Clock) -> Figure | None:
    """The figure of a service; None when no sample was taken."""
    tracks = history.entries(service)
    dues = [s.due for track in tracks for s in (track.samples[:1] + track.samples[-1:])]
    if not dues or max(dues) <= min(dues):
        return None
    interval = min(track.stream.interval for track in tracks)
    window = Window(min(dues) - 1e-6, max(dues) + interval)
    width = width_for(window, interval)
    coarse = width_for(window, interval, TABLE_ROWS)
    buckets = fill(tracks, window, width)
    plot = _Plot(window, clock.t0.earliest if clock.t0 else window.start)
    header, seen = history.header, {region for bucket in buckets for region in bucket.regions}
    regions = [r for r in dict.fromkeys([*header.victims, *header.survivors, *sorted(seen)]) if r in seen]
    marks = markers(history, clock)
    return Figure(
        service=service,
        svg=_draw(history, plot, buckets, width, regions, marks, service),
        legend=[Legend(r, _ink(i), DASHES[i % len(DASHES)]) for i, r in enumerate(regions)],
        markers=marks,
        regions=regions,
        rows=fill(tracks, window, coarse),
        zero=plot.zero,
        bucket=width,
        table_bucket=coarse,
    )


def _draw(
    history: History,
    plot: _Plot,
    buckets: Sequence[Bucket],
    width: float,
    regions: Sequence[str],
    marks: Sequence[Marker],
    service: str,
) -> Markup:
    flags, lanes = _flags(plot, marks)
    tall = 2 * _STRIP + 8 + lanes * _ROW
    traffic = tall + 24
    failed = traffic + _TRAFFIC + _GAP
    latency = failed + _FAILED + _GAP
    bottom = latency + _LATENCY
    parts = [
        element("title", f"Timeline of {service}"),
        element("desc", _description(buckets, regions, marks)),
        *_phase_strip(history, plot, bottom),
        *_fault_strip(history, plot, bottom),
        *_traffic_panel(plot, buckets, width, regions, traffic),
        *_failed_panel(plot, buckets, width, failed),
        *_latency_panel(plot, buckets, width, latency),
        *_axis(plot, bottom),
        *_marker_lines(plot, marks, tall, bottom),
        *flags,
    ]
    height = bottom + 40
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        width="100%",
        role="img",
        font_family="inherit",
        class_="timeline",
    )


def _description(buckets: Sequence[Bucket], regions: Sequence[str], marks: Sequence[Marker]) -> str:
    total, failed = sum(b.total for b in buckets), sum(b.failed for b in buckets)
    moments = "; ".join(f"{mark.name} {mark.after}" for mark in marks)
    return f"{total} requests, {failed} failed, answered by {', '.join(regions) or 'nobody'}. {moments}."


def _phase_strip(history: History, plot: _Plot, bottom: float) -> list[Markup]:
    parts = []
    shown = [(p, w) for p, w in history.phases.items() if p is not Phase.PREFLIGHT and w.end > plot.window.start]
    for index, (phase, window) in enumerate(shown):
        x, end = plot.x(window.start), plot.x(window.end)
        parts.append(rect(x, 0, end - x, _STRIP, PHASES[index % 2]))
        if end - x > 6.2 * len(phase.value) + 6:
            parts.append(text((x + end) / 2, 12.5, phase.value, TEXT, text_anchor="middle", font_size=10.5))
        if index:
            parts.append(line(x, _STRIP, x, bottom, GRID))
    return parts


def _fault_strip(history: History, plot: _Plot, bottom: float) -> list[Markup]:
    begun = [fault.t0.earliest for fault in history.faults if fault.t0]
    if not begun:
        return []
    undone = undone_at(history)
    x, end = plot.x(min(begun)), plot.x(undone if undone is not None else plot.window.end)
    y = _STRIP + 2
    parts = [rect(x, y, end - x, bottom - y, FAULT, fill_opacity=0.045), rect(x, y, end - x, _STRIP - 2, FAULT)]
    label = "fault in place" if undone is not None else "fault in place, not confirmed to be put back"
    if end - x > 6.4 * len(label):
        parts.append(text((x + end) / 2, y + 12, label, PAPER, text_anchor="middle", font_size=10.5, font_weight=600))
    return parts


def _traffic_panel(
    plot: _Plot, buckets: Sequence[Bucket], width: float, regions: Sequence[str], y: float
) -> list[Markup]:
    top = _ceiling(max((b.total for b in buckets), default=1) / width)
    parts = _frame(y, _TRAFFIC, "answers per second", [(value, f"{value:g}") for value in (0, top / 2, top)], top)
    for index, region in enumerate(regions):
        points = [(plot.x(b.start), y + _TRAFFIC * (1 - b.regions[region] / width / top)) for b in buckets]
        path, ink = steps(points, _wide(plot, width)), _ink(index)
        base = y + _TRAFFIC
        parts.append(
            element(
                "path", d=f"{path}V{base:.1f}H{points[0][0]:.1f}Z", fill=ink.colour, class_=ink.name, fill_opacity=0.1
            )
            if "M" not in path[1:]
            else Markup("")
        )
        parts.append(
            element(
                "path",
                d=path,
                fill="none",
                stroke=ink.colour,
                class_=f"{ink.name} stroke",
                stroke_width=1.8,
                stroke_dasharray=DASHES[index % len(DASHES)] or None,
            )
        )
    return parts


def _failed_panel(plot: _Plot, buckets: Sequence[Bucket], width: float, y: float) -> list[Markup]:
    top = _ceiling(max((b.failed for b in buckets), default=0) / width or 1)
    parts = _frame(y, _FAILED, "failed per second", [(0, "0"), (top, f"{top:g}")], top)
    for bucket in buckets:
        if bucket.failed:
            # A single failure in a long drill must not vanish: a bar is never lower than 2.
            height = max(2.0, _FAILED * bucket.failed / width / top)
            x = plot.x(bucket.start)
            wide = max(1.0, _wide(plot, width))
            parts.append(rect(x, y + _FAILED - height, wide, height, BAD, shape_rendering="crispEdges"))
    if not any(bucket.failed for bucket in buckets):
        parts.append(text((LEFT + WIDTH - RIGHT) / 2, y + _FAILED / 2 + 4, "none", MUTED, text_anchor="middle"))
    return parts


def _latency_panel(plot: _Plot, buckets: Sequence[Bucket], width: float, y: float) -> list[Markup]:
    """The slowest request of each bucket, on a logarithmic axis of whole decades."""
    values = [max(b.slowest, 1e-4) for b in buckets]
    low = min(-3, int(log10(min(values)) // 1))
    high = max(0, ceil(log10(max(values)) - 1e-9))
    decades = high - low
    ticks = [(float(d), _decade(low + d)) for d in range(decades + 1)]
    parts = _frame(y, _LATENCY, "slowest request", ticks, decades)
    points = [
        (plot.x(b.start), y + _LATENCY * (1 - (log10(v) - low) / decades))
        for b, v in zip(buckets, values, strict=True)
    ]
    path = steps(points, _wide(plot, width))
    parts.append(element("path", d=path, fill="none", stroke=TEXT.colour, class_="i-text stroke", stroke_width=1.2))
    return parts


def _frame(y: float, height: float, name: str, ticks: Sequence[tuple[float, str]], top: float) -> list[Markup]:
    parts = [text(LEFT, y - 7, name, TEXT, font_size=11, font_weight=600)]
    for value, label in ticks:
        at = y + height * (1 - value / top)
        parts.append(line(LEFT, at, WIDTH - RIGHT, at))
        parts.append(text(LEFT - 7, at + 3.8, label, MUTED, text_anchor="end", font_size=10.5))
    return parts


def _axis(plot: _Plot, y: float) -> list[Markup]:
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


def _marker_lines(plot: _Plot, marks: Sequence[Marker], y: float, bottom: float) -> list[Markup]:
    return [
        line(plot.x(m.t), y, plot.x(m.t), bottom, TEXT, stroke_dasharray=m.dash or None, stroke_width=1.3)
        for m in marks
    ]


def _flags(plot: _Plot, marks: Sequence[Marker]) -> tuple[list[Markup], int]:
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
        x, bottom = plot.x(mark.t), 2 * _STRIP + 8 + lanes * _ROW
        y = bottom - lane * _ROW - 8
        parts.append(line(x, y - 9, x, bottom, TEXT, stroke_dasharray=mark.dash or None, stroke_width=1.3))
        anchor, inside = ("end", -5.0) if flip else ("start", 5.0)
        parts.append(text(x + inside, y, label, TEXT, text_anchor=anchor, font_weight=600))
    return parts, lanes


def _together(plot: _Plot, marks: Sequence[Marker]) -> list[tuple[Marker, str]]:
    """Marks less than two units apart share one label."""
    groups: list[tuple[Marker, str]] = []
    for mark in marks:
        if groups and plot.x(mark.t) - plot.x(groups[-1][0].t) < 2:
            groups[-1] = (groups[-1][0], f"{groups[-1][1]}, {mark.label}")
        else:
            groups.append((mark, mark.label))
    return groups


def _wide(plot: _Plot, width: float) -> float:
    return width / plot.window.length * (WIDTH - LEFT - RIGHT)


def _ink(index: int) -> Ink:
    return REGIONS[index % len(REGIONS)]


def _ceiling(value: float) -> float:
    """The next round number: 1, 2, 4, 5 or 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** int(log10(value) // 1)
    return next(power * f for f in (1, 2, 4, 5, 10) if power * f >= value - 1e-9)


def _decade(exponent: int) -> str:
    return f"{10**exponent} s" if exponent >= 0 else f"{10.0 ** (exponent + 3):g} ms"
