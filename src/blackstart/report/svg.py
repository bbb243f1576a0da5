"""Small pieces of SVG. Colours are presentation attributes, so that they survive without the style sheet.

A class beside each colour lets the page's style sheet replace it in dark mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape


class Ink(NamedTuple):
    """A class of the style sheet, and the colour where there is none."""

    name: str
    colour: str


TEXT = Ink("i-text", "#1b2430")
MUTED = Ink("i-muted", "#5b6675")
GRID = Ink("i-grid", "#dfe4ea")
PAPER = Ink("i-paper", "#ffffff")
GOOD = Ink("i-good", "#197044")
BAD = Ink("i-bad", "#b3261e")
UNSURE = Ink("i-unsure", "#946200")
TRACK = Ink("i-track", "#e9edf2")
FAULT = Ink("i-fault", "#b3261e")
PHASES = (Ink("i-phase-a", "#eef1f5"), Ink("i-phase-b", "#e2e7ee"))
REGIONS = (
    Ink("i-r0", "#2166ac"),
    Ink("i-r1", "#0b8a7a"),
    Ink("i-r2", "#7a4fa3"),
    Ink("i-r3", "#8a6a1f"),
    Ink("i-r4", "#5b6675"),
)
DASHES = ("", "7 3", "2 2.5", "9 3 2 3", "1 3")


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """`<name a-b="..">children</name>`; `a_b` becomes `a-b`, `class_` `class`; None leaves an attribute out."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{pairs}>{''.join(map(str, map(escape, children)))}</{name}>")  # noqa: S704 - escaped above


def text(x: float, y: float, content: str, ink: Ink = MUTED, **attributes: str | float | None) -> Markup:
    """A line of text; 11 units high unless told."""
    return element("text", content, x=x, y=y, class_=ink.name, fill=ink.colour, **{"font_size": 11, **attributes})


def line(x1: float, y1: float, x2: float, y2: float, ink: Ink = GRID, **attributes: str | float | None) -> Markup:
    """A straight line, 1 wide unless told."""
    style: dict[str, str | float | None] = {"stroke_width": 1, **attributes}
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=f"{ink.name} stroke", stroke=ink.colour, **style)


def rect(x: float, y: float, width: float, height: float, ink: Ink, **attributes: str | float | None) -> Markup:
    """A filled rectangle."""
    return element(
        "rect",
        x=x,
        y=y,
        width=max(0.0, width),
        height=max(0.0, height),
        class_=ink.name,
        fill=ink.colour,
        **attributes,
    )


def steps(points: Sequence[tuple[float, float]], width: float) -> str:
    """Path data of a step line: each point holds for `width`. Runs of equal height are one stroke."""
    if not points:
        return ""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    height, end = points[0][1], points[0][0]
    for x, y in points:
        if x - end > width / 2:
            path += [f"H{end:.1f}", f"M{x:.1f} {y:.1f}"]
        elif f"{y:.1f}" != f"{height:.1f}":
            path += [f"H{x:.1f}", f"V{y:.1f}"]
        height, end = y, x + width
    return "".join([*path, f"H{end:.1f}"])


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
