"""What a global view claimed and what was so, second by second, for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from blackstart.report.format import DASH, plain
from blackstart.report.plot import LEFT, RIGHT, WIDTH
from blackstart.report.svg import BAD, GOOD, GRID, MUTED, TEXT, UNSURE, Ink, element, line, rect, text
from blackstart.schema.result import Result
from blackstart.schema.result_views import Claim, Stretch, ViewResult

SHOWN = 100
"""Most stretches in a table; all of them are in result.json."""

_LANE, _GAP, _BOTTOM = 20.0, 12.0, 34.0
_INKS: dict[Claim, tuple[Ink, float]] = {
    "wrong": (BAD, 1.0),
    "unknown": (UNSURE, 0.7),
    "right": (GOOD, 0.45),
    "silent": (GRID, 0.1),
}
"""Colour and height: what is wrong stands out without colours, too."""

WORDS: dict[Claim, tuple[str, str]] = {
    "right": ("good", "right"),
    "wrong": ("bad", "wrong"),
    "unknown": ("unsure", "not checked"),
    "silent": ("unsure", "no data"),
}


@dataclass(frozen=True)
class StretchRow:
    """Seconds in a row: when, what was so, what was said of it, and how that stands."""

    when: str
    true: str
    claimed: str
    tone: str
    word: str
    plain: str
    plain_tone: str
    plain_word: str


@dataclass(frozen=True)
class ViewTable:
    """One view: its figures, its strip, its seconds."""

    name: str
    truth: str
    service: str
    watched: int
    figures: Sequence[tuple[str, int, int, int]]
    strip: Markup
    rows: Sequence[StretchRow]
    left_out: int


def view_tables(result: Result) -> list[ViewTable]:
    """One table a view."""
    return [_table(view) for view in result.views]


def _table(view: ViewResult) -> ViewTable:
    return ViewTable(
        name=f"{view.probe}, {view.key}" if view.key else view.probe,
        truth=view.truth,
        service=view.service,
        watched=view.watched_s,
        figures=[
            ("This probe", view.wrong_s, view.unknown_s, view.silent_s),
            ("A plain query", view.plain_wrong_s, view.plain_unknown_s, view.plain_silent_s),
        ],
        strip=_strip(view),
        rows=[_row(stretch) for stretch in view.stretches[:SHOWN]],
        left_out=max(0, len(view.stretches) - SHOWN),
    )


def _row(s: Stretch) -> StretchRow:
    said = plain(s.claimed) if s.claimed is not None else f"no data: {s.no_data}" if s.no_data else DASH
    return StretchRow(
        when=f"{s.start_s} to {s.end_s} s",
        true=plain(s.true),
        claimed=said,
        tone=WORDS[s.view][0],
        word=WORDS[s.view][1],
        plain=plain(s.plain),
        plain_tone=WORDS[s.plain_view][0],
        plain_word="nothing claimed" if s.plain_view == "silent" else WORDS[s.plain_view][1],
    )


def _strip(view: ViewResult) -> Markup:
    """Two lanes on one axis: this probe, and a plain query."""
    first = view.stretches[0].start_s if view.stretches else 0
    last = view.stretches[-1].end_s if view.stretches else 1
    scale = (WIDTH - LEFT - RIGHT) / max(1, last - first)

    def x(second: float) -> float:
        return LEFT + (second - first) * scale

    height = 2 * (_LANE + _GAP)
    parts = [
        *_lane("probe", _GAP, [(x(s.start_s), x(s.end_s), s.view) for s in view.stretches]),
        *_lane("plain", _LANE + 2 * _GAP, [(x(s.start_s), x(s.end_s), s.plain_view) for s in view.stretches]),
        line(x(0), 4, x(0), height + 2, TEXT, stroke_dasharray="3 2"),
        text(x(0), height + 14, "T0", TEXT, text_anchor="middle"),
        text(x(first), height + 28, f"{first} s", MUTED),
        text(x(last), height + 28, f"{last} s", MUTED, text_anchor="end"),
    ]
    said = (
        f"{view.probe} was wrong for {view.wrong_s} of {view.watched_s} s, a plain query for {view.plain_wrong_s} s."
    )
    return element(
        "svg",
        element("title", f"What {view.probe} claimed"),
        element("desc", said),
        *parts,
        viewBox=f"0 0 {WIDTH:g} {height + _BOTTOM:g}",
        width="100%",
        class_="timeline",
        role="img",
    )


def _lane(name: str, y: float, spans: Sequence[tuple[float, float, Claim]]) -> list[Markup]:
    parts = [text(LEFT - 7, y + 14, name, MUTED, text_anchor="end", font_size=10.5)]
    for start, end, claim in spans:
        ink, share = _INKS[claim]
        tall = _LANE * share
        parts.append(rect(start, y + _LANE - tall, end - start, tall, ink, shape_rendering="crispEdges"))
    return parts
