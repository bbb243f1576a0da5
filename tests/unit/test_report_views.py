"""The section of the report on what a view claimed and what was so."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from evidence_builder import Scene, with_body
from test_honest import blind, lying
from viewkit import Views, so

from blackstart.evidence.records import Body, Line, Reading
from blackstart.judge import judge
from blackstart.report import html, junit, markdown
from blackstart.report.views import SHOWN, view_tables

RUNS = {
    "honest": Views(blind).lines(),
    "lying": Views(lying).lines(),
    "unchecked": Views(truth=lambda t: None if t >= 14 else so(t)).lines(),
    "nothing read": Views(lambda t: None).lines(),
}


def section(lines: list[Line]) -> str:
    found = re.search(r"<h2>What the view claimed.*?</section>", html(judge(lines), lines), re.DOTALL)
    return found[0] if found else ""


def test_both_figures_stand_beside_each_other() -> None:
    (table,) = view_tables(judge(RUNS["honest"]))
    (_, wrong, _, silent), (_, plain_wrong, _, _) = table.figures
    assert (wrong, silent > 15, plain_wrong > 15) == (0, True, True)
    assert f"<strong>{plain_wrong} s</strong>" in section(RUNS["honest"])
    assert "no data: partial" in section(RUNS["honest"])
    assert "a plain query says 3" in html(judge(RUNS["honest"]), RUNS["honest"])
    assert f"| {plain_wrong} s |" in markdown(judge(RUNS["honest"]), RUNS["honest"])


@pytest.mark.parametrize("name", RUNS)
def test_every_form_holds(name: str) -> None:
    lines = RUNS[name]
    text = section(lines)
    ElementTree.fromstring(junit(judge(lines)))  # noqa: S314 - our own output
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        root = ElementTree.fromstring(drawing)  # noqa: S314 - our own output
        assert root.find("title") is not None
        assert root.find("desc") is not None


def test_a_lie_is_shown_as_one_and_comes_with_advice() -> None:
    text = html(judge(RUNS["lying"]), RUNS["lying"])
    assert "Honest view global-pods" in text
    assert "Ask for warnings, for every expected store" in text
    assert '<span class="chip bad">' in section(RUNS["lying"])


def test_what_nobody_could_check_is_not_shown_as_right() -> None:
    text = section(RUNS["unchecked"])
    assert "not checked" in text
    assert "unknown" in html(judge(RUNS["unchecked"]), RUNS["unchecked"])


def test_a_drill_without_a_view_has_no_such_section() -> None:
    assert section(Scene().lines()) == section(RUNS["nothing read"]) == ""


def test_a_view_that_flickers_for_long_is_cut_short_and_says_so() -> None:
    lines = RUNS["honest"]
    result = judge(lines)
    many = result.views[0].model_copy(update={"stretches": result.views[0].stretches * 50})
    text = html(result.model_copy(update={"views": [many]}), lines)
    assert f"{len(many.stretches) - SHOWN} more changes are in result.json" in text


def test_everything_from_outside_is_escaped() -> None:
    def taint(body: Body) -> Body:
        return body.model_copy(update={"key": "<script>|"}) if isinstance(body, Reading) else body

    lines = with_body(RUNS["lying"], taint)
    assert "<script" not in html(judge(lines), lines)
    assert "&lt;script&gt;" in section(lines)
