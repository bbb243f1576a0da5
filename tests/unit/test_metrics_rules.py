"""Each rule about metrics has a bad and a good example; the bad one breaks this rule and no other."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from blackstart.cli import invoke
from blackstart.plan.metrics.check import FORM, RULES

FOLDER = Path(__file__).parent / "metrics"
IDS = [FORM.id, *(rule.id for rule in RULES)]


def lint(rule: str, which: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The findings in an example: a file, or a folder of clusters; a comment on top has the options."""
    file = FOLDER / rule / f"{which}.yaml"
    path = file if file.exists() else FOLDER / rule / which
    options = re.match(r"# lint --metrics (.+)", file.read_text()) if file.exists() else None
    invoke(["lint", "--metrics", str(path), "-o", "json", *shlex.split(options[1] if options else "")])
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_every_rule_has_both_examples_and_no_other_is_there() -> None:
    assert sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir()) == sorted(IDS)


@pytest.mark.parametrize("rule", IDS)
def test_the_bad_example_breaks_the_rule_and_no_other(rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = lint(rule, "bad", capsys)
    assert {finding["rule"] for finding in found if finding["severity"] != "info"} | {rule} == {rule}
    assert rule in {finding["rule"] for finding in found}
    assert all(finding["line"] and finding["message"] and (finding["fix"] or rule == FORM.id) for finding in found)


@pytest.mark.parametrize("rule", IDS)
def test_the_good_example_breaks_no_rule(rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = lint(rule, "good", capsys)
    assert [finding for finding in found if finding["severity"] != "info" or finding["rule"] == rule] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_says_why_and_where_to_read_on(rule) -> None:  # type: ignore[no-untyped-def]
    assert rule.why.endswith(".")
    assert rule.link.startswith(("https://prometheus.io/docs/", "https://thanos.io/tip/"))
