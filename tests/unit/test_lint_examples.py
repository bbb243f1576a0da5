"""Each rule of `lint --mesh|--backup|--metrics` has a bad and a good example; the bad one breaks no other rule."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from blackstart.cli import invoke
from blackstart.plan.backup import check as backup
from blackstart.plan.mesh import check as mesh
from blackstart.plan.metrics import check as metrics

HERE = Path(__file__).parent
KINDS: dict[str, ModuleType] = {"mesh": mesh, "backup": backup, "metrics": metrics}
LINKS = {
    "mesh": ("https://istio.io/latest/docs/", "https://www.envoyproxy.io/docs/envoy/latest/"),
    "backup": ("https://velero.io/docs/",),
    "metrics": ("https://prometheus.io/docs/", "https://thanos.io/tip/"),
}
RULES = [(kind, rule) for kind, check in KINDS.items() for rule in (check.FORM, *check.RULES)]
EACH = pytest.mark.parametrize(
    ("kind", "rule"), [(kind, rule.id) for kind, rule in RULES], ids=[rule.id for _, rule in RULES]
)


def lint(kind: str, rule: str, which: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The findings in an example: a file, or a folder of clusters; a comment on top has the options."""
    file = HERE / kind / rule / f"{which}.yaml"
    path = file if file.exists() else HERE / kind / rule / which
    options = re.match(rf"# lint --{kind} (.+)", file.read_text()) if file.exists() else None
    invoke(["lint", f"--{kind}", str(path), "-o", "json", *shlex.split(options[1] if options else "")])
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_has_both_examples_and_no_other_is_there(kind: str) -> None:
    folders = sorted(folder.name for folder in (HERE / kind).iterdir() if folder.is_dir())
    assert folders == sorted(rule.id for of, rule in RULES if of == kind)


@EACH
def test_the_bad_example_breaks_the_rule_and_no_other(
    kind: str, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = lint(kind, rule, "bad", capsys)
    assert {finding["rule"] for finding in found if finding["severity"] != "info"} | {rule} == {rule}
    assert rule in {finding["rule"] for finding in found}
    form = KINDS[kind].FORM.id
    assert all(finding["line"] and finding["message"] and (finding["fix"] or rule == form) for finding in found)


@EACH
def test_the_good_example_breaks_no_rule(kind: str, rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = lint(kind, rule, "good", capsys)
    assert [finding for finding in found if finding["severity"] != "info" or finding["rule"] == rule] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_says_why_and_where_to_read_on(kind: str) -> None:
    for rule in KINDS[kind].RULES:
        assert rule.why.endswith("."), rule.id
        assert rule.link.startswith(LINKS[kind]), rule.id
