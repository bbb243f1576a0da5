"""The report in a real browser: light, dark, narrow, without scripts, on paper."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from evidence_builder import END, FORECAST, Scene, aborted

from blackstart.evidence.records import Line, Reason
from blackstart.judge import judge
from blackstart.report import html

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium: apt-get install chromium")

RUNS = {
    "pass": Scene().lines(),
    "forecast": Scene(forecast=FORECAST).lines(),
    "fail": Scene(outage=60).lines(),
    "unknown": Scene(replicas=lambda t: Reason.REFUSED).lines(),
    "aborted": aborted(at=6),
    "silent": Scene(silent=[(0, END)]).lines(),
}

CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.9) return colour;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const node of document.querySelectorAll('main *, footer *')) {
    const text = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    if (!text || ['TITLE', 'DESC', 'STYLE'].includes(node.nodeName.toUpperCase())) continue;
    const style = getComputedStyle(node);
    const drawn = node instanceof SVGElement;
    if (drawn && node.classList.contains('i-paper')) continue;  // stands on a coloured strip
    const [a, b] = [light(rgb(drawn ? style.fill : style.color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(`${node.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return bad;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


def show(browser: Browser, folder: Path, lines: list[Line], **options: object) -> Page:
    path = folder / "report.html"
    path.write_text(html(judge(lines), lines))
    page = browser.new_page(**options)  # type: ignore[arg-type]  # options of a page, as Playwright names them
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("name", RUNS)
def test_the_page_asks_for_nothing_and_complains_about_nothing(browser: Browser, tmp_path: Path, name: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(html(judge(RUNS[name]), RUNS[name]))
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    assert asked == [path.as_uri()]
    assert complaints == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", RUNS)
def test_text_stands_out_from_what_is_behind_it(browser: Browser, tmp_path: Path, name: str, scheme: str) -> None:
    page = show(browser, tmp_path, RUNS[name], color_scheme=scheme)
    assert page.evaluate(CONTRAST) == []
    page.close()


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_the_page_is_never_wider_than_the_window(browser: Browser, tmp_path: Path, width: int) -> None:
    page = show(browser, tmp_path, RUNS["fail"], viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_it_is_all_there_without_scripts(browser: Browser, tmp_path: Path) -> None:
    page = show(browser, tmp_path, RUNS["pass"], java_script_enabled=False)
    assert page.locator(".word").inner_text() == "PASS"
    assert page.locator("svg.timeline").is_visible()
    page.locator("summary", has_text="Client streams").click()
    assert page.locator("td", has_text="user-service/entry/kept").is_visible()
    page.close()


def test_on_paper_the_evidence_is_open_and_the_paper_white(browser: Browser, tmp_path: Path) -> None:
    page = show(browser, tmp_path, RUNS["pass"], color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert page.locator("td", has_text="preflight/identity/us").bounding_box() is not None
    page.close()


def test_labels_of_the_timeline_do_not_run_over_each_other(browser: Browser, tmp_path: Path) -> None:
    page = show(browser, tmp_path, RUNS["pass"])
    boxes = page.evaluate(
        """() => [...document.querySelectorAll('svg.timeline > text[font-weight="600"]')].map((t) => {
             const b = t.getBoundingClientRect();
             return [b.left, b.top, b.right, b.bottom];
           })"""
    )
    for index, a in enumerate(boxes):
        for b in boxes[index + 1 :]:
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] + 3 or b[3] <= a[1] + 3
            assert apart, (a, b)
    page.close()


def test_forced_colours_leave_the_verdict_readable(browser: Browser, tmp_path: Path) -> None:
    page = show(browser, tmp_path, RUNS["fail"], forced_colors="active")
    assert page.locator(".word").is_visible()
    assert page.evaluate("matchMedia('(forced-colors: active)').matches")
    page.close()
