"""The panels of a timeline: traffic, failures, latency."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10

from markupsafe import Markup

from blackstart.report.buckets import Bucket
from blackstart.report.plot import FAILED, LATENCY, LEFT, RIGHT, TRAFFIC, WIDTH, Plot, ink_of
from blackstart.report.svg import BAD, DASHES, MUTED, TEXT, element, line, rect, steps, text


def traffic_panel(
    plot: Plot, buckets: Sequence[Bucket], width: float, regions: Sequence[str], y: float
) -> list[Markup]:
    """Answers per second, a line for each region."""
    top = _ceiling(max((b.total for b in buckets), default=1) / width)
    parts = _frame(y, TRAFFIC, "answers per second", [(value, f"{value:g}") for value in (0, top / 2, top)], top)
    for index, region in enumerate(regions):
        points = [(plot.x(b.start), y + TRAFFIC * (1 - b.regions[region] / width / top)) for b in buckets]
        path, ink = steps(points, plot.wide(width)), ink_of(index)
        base = y + TRAFFIC
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


def failed_panel(plot: Plot, buckets: Sequence[Bucket], width: float, y: float) -> list[Markup]:
    """Failed requests per second, as bars."""
    top = _ceiling(max((b.failed for b in buckets), default=0) / width or 1)
    parts = _frame(y, FAILED, "failed per second", [(0, "0"), (top, f"{top:g}")], top)
    for bucket in buckets:
        if bucket.failed:
            # A single failure in a long drill must not vanish: a bar is never lower than 2.
            height = max(2.0, FAILED * bucket.failed / width / top)
            x = plot.x(bucket.start)
            wide = max(1.0, plot.wide(width))
            parts.append(rect(x, y + FAILED - height, wide, height, BAD, shape_rendering="crispEdges"))
    if not any(bucket.failed for bucket in buckets):
        parts.append(text((LEFT + WIDTH - RIGHT) / 2, y + FAILED / 2 + 4, "none", MUTED, text_anchor="middle"))
    return parts


def latency_panel(plot: Plot, buckets: Sequence[Bucket], width: float, y: float) -> list[Markup]:
    """The slowest request of each bucket, on a logarithmic axis of whole decades."""
    values = [max(b.slowest, 1e-4) for b in buckets]
    low = min(-3, int(log10(min(values)) // 1))
    high = max(0, ceil(log10(max(values)) - 1e-9))
    decades = high - low
    ticks = [(float(d), _decade(low + d)) for d in range(decades + 1)]
    parts = _frame(y, LATENCY, "slowest request", ticks, decades)
    points = [
        (plot.x(b.start), y + LATENCY * (1 - (log10(v) - low) / decades))
        for b, v in zip(buckets, values, strict=True)
    ]
    path = steps(points, plot.wide(width))
    parts.append(element("path", d=path, fill="none", stroke=TEXT.colour, class_="i-text stroke", stroke_width=1.2))
    return parts


def _frame(y: float, height: float, name: str, ticks: Sequence[tuple[float, str]], top: float) -> list[Markup]:
    parts = [text(LEFT, y - 7, name, TEXT, font_size=11, font_weight=600)]
    for value, label in ticks:
        at = y + height * (1 - value / top)
        parts.append(line(LEFT, at, WIDTH - RIGHT, at))
        parts.append(text(LEFT - 7, at + 3.8, label, MUTED, text_anchor="end", font_size=10.5))
    return parts


def _ceiling(value: float) -> float:
    """The next round number: 1, 2, 4, 5 or 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** int(log10(value) // 1)
    return next(power * f for f in (1, 2, 4, 5, 10) if power * f >= value - 1e-9)


def _decade(exponent: int) -> str:
    return f"{10**exponent} s" if exponent >= 0 else f"{10.0 ** (exponent + 3):g} ms"
