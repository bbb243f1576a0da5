"""docs/mesh.md says of every rule and option what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from blackstart.cli.lint import command
from blackstart.plan.mesh.check import FORM, RULES
from blackstart.plan.mesh.model import KINDS, Said

MANUAL = (Path(__file__).resolve().parents[2] / "docs" / "mesh.md").read_text()
OF_OTHERS = {"--data", "--backup", "--metrics", "--rpo"}
ROW = re.compile(r"^\| (BSM\d+) \| (\w+) \| (.+?) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def test_every_rule_is_listed() -> None:
    wanted = [
        (rule.id, rule.severity, rule.title, f"{rule.why} [More]({rule.link})" if rule.link else rule.why, rule.fix)
        for rule in (FORM, *RULES)
    ]
    assert ROW.findall(MANUAL) == wanted


def test_every_option_and_kind_is_explained() -> None:
    options = {name for option in command.params for name in option.opts if name.startswith("--")}
    assert {*re.findall(r"^\| `(--\w+)", MANUAL, re.MULTILINE)} == options - {
        "--output",
        "--fleet",
        "--mesh",
        *OF_OTHERS,
    }
    assert all(option in MANUAL for option in options - {"--output", *OF_OTHERS})
    assert all(kind in MANUAL for kind in KINDS)
    assert f"{Said().rto:g} s" in MANUAL
