"""The report in its three forms: complete, escaped, small, and honest about what is not known."""

from __future__ import annotations

import re
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from evidence_builder import DRILL, END, PHASES, Answer, Scene, aborted, adding, number, with_body

from blackstart.evidence.history import Track, Window, fold
from blackstart.evidence.records import Body, Check, End, Header, Line, Note, Phase, PhaseStart, Reason
from blackstart.judge import judge
from blackstart.report import html, junit, markdown
from blackstart.report.buckets import POINTS, fill, width_for
from blackstart.report.format import percent, seconds, span
from blackstart.schema.result import Verdict


def page(lines: list[Line]) -> str:
    return html(judge(lines), lines)


NOTHING_RAN = number(
    [
        (0.0, Scene().header()),
        (0.1, PhaseStart(phase=Phase.PREFLIGHT)),
        (1.0, End(how="refused", detail="context eu is not the pinned cluster")),
    ]
)

RUNS = {
    "pass": Scene().lines(),
    "fail": Scene(outage=60).lines(),
    "blind": Scene(replicas=lambda t: Reason.REFUSED).lines(),
    "sick": Scene(sick=["user-service/entry/fresh"]).lines(),
    "aborted": aborted(at=6),
    "silent": Scene(silent=[(0, END)]).lines(),
    "refused": NOTHING_RAN,
    "header only": NOTHING_RAN[:1],
    "cut": [line for line in Scene().lines() if line.t < 1000 + 25],
}


@pytest.mark.parametrize("name", RUNS)
def test_any_run_has_a_report_in_every_form(name: str) -> None:
    lines, result = RUNS[name], judge(RUNS[name])
    text = html(result, lines)
    assert result.verdict.value in text
    assert len(text.encode()) < 1_000_000
    assert result.verdict.value in markdown(result, lines)
    ElementTree.fromstring(junit(result))  # noqa: S314 - our own output


@pytest.mark.parametrize("name", RUNS)
def test_the_page_needs_nothing_from_anywhere(name: str) -> None:
    text = page(RUNS[name])
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert "<script" not in text
    assert "javascript:" not in text
    assert not re.search(r"(src|href)=", text)
    assert "@import" not in text
    assert "url(" not in text


@pytest.mark.parametrize("name", RUNS)
def test_svg_is_well_formed_and_says_what_it_shows(name: str) -> None:
    for drawing in re.findall(r"<svg.*?</svg>", page(RUNS[name]), re.DOTALL):
        root = ElementTree.fromstring(drawing)  # noqa: S314 - our own output
        if root.get("aria-hidden") is None:
            assert root.find("title") is not None
            assert root.find("desc") is not None


def test_everything_from_outside_is_escaped() -> None:
    evil = "<script>alert(1)</script>|`*"

    def taint(body: Body) -> Body:
        if isinstance(body, Header):
            drill = {**body.drill, "title": evil}
            return body.model_copy(update={"drill": drill, "initiator": evil, "command": ["blackstart", evil]})
        return body.model_copy(update={"detail": evil}) if hasattr(body, "detail") else body

    def answer(name: str, t: float) -> Answer | None:
        return (0.01, True, evil, None) if t > 30 else None

    extra = [(5.0, Note(level="error", text=evil)), (1.0, Check(name=evil, ok=False))]
    lines = with_body(adding(Scene(answer=answer), *extra), taint)
    result = judge(lines)
    assert "<script" not in html(result, lines)
    assert "&lt;script&gt;" in html(result, lines)
    assert "<script" not in markdown(result, lines).replace("\\<", "").split("Repeat:")[0]
    assert "<script" not in junit(result)


def test_the_banner_says_the_verdict_in_a_word_an_icon_and_a_sentence() -> None:
    text = page(RUNS["fail"])
    assert '<section class="banner bad"' in text
    assert '<p class="word">FAIL</p>' in text
    assert "not recovered after 21.0 s" in text


def test_the_timeline_has_its_moments_and_its_table() -> None:
    text = page(RUNS["pass"])
    for moment in ("T0, detected 0 s", "moved 1.20 s", "undone", "failed back 2.00 s", "fault in place"):
        assert moment in text
    assert "The same as a table" in text


def test_local_time_stands_beside_utc() -> None:
    lines = RUNS["pass"]
    text = html(judge(lines), lines, ZoneInfo("Asia/Shanghai"))
    assert "2026-11-03 09:30:00 UTC" in text
    assert "2026-11-03 17:30:00 CST" in text


def test_unknown_is_never_shown_as_met() -> None:
    text = page(RUNS["blind"])
    assert "unknown" in text
    assert "no data never passes" in text
    assert "no data: refused" in text


def test_what_was_not_put_back_comes_with_the_next_step() -> None:
    lines = with_body(
        Scene().lines(), lambda b: b.model_copy(update={"faults": ["f1"]}) if b.type == "outstanding" else b
    )
    assert "blackstart recover" in page(lines)
    assert "blackstart recover" in markdown(judge(lines), lines)


def test_junit_failure_error_and_skip() -> None:
    failed = ElementTree.fromstring(junit(judge(RUNS["fail"])))  # noqa: S314 - our own output
    assert next(f.get("message") for f in failed.iter("failure")) == "not recovered after 21.0 s"
    assert next(failed.iter("testsuite")).get("failures") == "2"
    blind = ElementTree.fromstring(junit(judge(RUNS["blind"])))  # noqa: S314 - our own output
    assert {e.get("type") for e in blind.iter("error")} == {"INCONCLUSIVE", "unknown"}
    refused = ElementTree.fromstring(junit(judge(NOTHING_RAN)))  # noqa: S314 - our own output
    assert len(list(refused.iter("skipped"))) == len(DRILL["objectives"])
    assert len(list(refused.iter("error"))) == 1


def test_a_long_drill_is_thinned_out_and_keeps_its_one_error() -> None:
    phases = {**PHASES, Phase.UNDO: 3614.0, Phase.FAILBACK: 3617.0, Phase.SETTLE: 3627.0}
    scene = Scene(interval=0.5, phases=phases, end=3630.0, outage=0, bad=[(1800.0, 1800.4)], streams=[
        "user-service/entry/fresh", "user-service/entry/kept"])  # fmt: skip
    lines = scene.lines()
    history = fold(lines)
    tracks: list[Track] = history.entries("user-service")
    window = Window(tracks[0].samples[0].due, tracks[0].samples[-1].due)
    buckets = fill(tracks, window, width_for(window, 0.5))
    assert len(buckets) <= POINTS
    assert sum(bucket.failed for bucket in buckets) == 2
    text = page(lines)
    assert len(text.encode()) < 200_000
    assert text.count('class="i-bad"') >= 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "\N{EN DASH}"),
        (0, "0 s"),
        (0.0042, "4.2 ms"),
        (1.2, "1.20 s"),
        (21, "21.0 s"),
        (252, "4 min 12 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_seconds(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


def test_percent_never_rounds_up_to_all() -> None:
    assert percent(0.99999) == "99.99 %"
    assert percent(1.0) == "100 %"
    assert percent(0.0) == "0 %"


def test_spans() -> None:
    assert span("rto", 1.13, 1.2) == "1.13 to 1.20 s"
    assert span("rto", 20.98, None) == "over 21.0 s"
    assert span("availability", 0.9, 0.9) == ""


def test_verdicts_all_have_a_look() -> None:
    from blackstart.report.words import VERDICTS

    assert set(VERDICTS) == set(Verdict)
