"""One figure of a service's run: traffic per region, failures, latency, fault and phases on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from blackstart.evidence.history import History, Window
from blackstart.report.buckets import Bucket, fill, width_for
from blackstart.report.markers import Marker, markers
from blackstart.report.panels import failed_panel, latency_panel, traffic_panel
from blackstart.report.plot import FAILED, GAP, LATENCY, ROW, STRIP, TRAFFIC, WIDTH, Plot, ink_of
from blackstart.report.strips import axis, fault_strip, flags_of, marker_lines, phase_strip
from blackstart.report.svg import DASHES, Ink, element
from blackstart.schema.result import Clock

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
    plot = Plot(window, clock.t0.earliest if clock.t0 else window.start)
    header, seen = history.header, {region for bucket in buckets for region in bucket.regions}
    regions = [r for r in dict.fromkeys([*header.victims, *header.survivors, *sorted(seen)]) if r in seen]
    marks = markers(history, clock)
    return Figure(
        service=service,
        svg=_draw(history, plot, buckets, width, regions, marks, service),
        legend=[Legend(r, ink_of(i), DASHES[i % len(DASHES)]) for i, r in enumerate(regions)],
        markers=marks,
        regions=regions,
        rows=fill(tracks, window, coarse),
        zero=plot.zero,
        bucket=width,
        table_bucket=coarse,
    )


def _draw(
    history: History,
    plot: Plot,
    buckets: Sequence[Bucket],
    width: float,
    regions: Sequence[str],
    marks: Sequence[Marker],
    service: str,
) -> Markup:
    flags, lanes = flags_of(plot, marks)
    tall = 2 * STRIP + 8 + lanes * ROW
    traffic = tall + 24
    failed = traffic + TRAFFIC + GAP
    latency = failed + FAILED + GAP
    bottom = latency + LATENCY
    parts = [
        element("title", f"Timeline of {service}"),
        element("desc", _description(buckets, regions, marks)),
        *phase_strip(history, plot, bottom),
        *fault_strip(history, plot, bottom),
        *traffic_panel(plot, buckets, width, regions, traffic),
        *failed_panel(plot, buckets, width, failed),
        *latency_panel(plot, buckets, width, latency),
        *axis(plot, bottom),
        *marker_lines(plot, marks, tall, bottom),
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
