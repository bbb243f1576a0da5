"""docs/data.md says of every rule and option what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from blackstart.plan.data.check import FORM, RULES
from blackstart.plan.data.files import SUFFIXES

MANUAL = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text()
ROW = re.compile(r"^\| (BSD\d+) \| (\w+) \| (.+?) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def test_every_rule_is_listed() -> None:
    wanted = [
        (rule.id, rule.severity, rule.title, f"{rule.why} [More]({rule.link})" if rule.link else rule.why, rule.fix)
        for rule in (FORM, *RULES)
    ]
    assert ROW.findall(MANUAL) == wanted


def test_every_kind_of_file_and_option_is_explained() -> None:
    assert all(f"`{suffix}`" in MANUAL for suffix in SUFFIXES)
    assert "`--rpo 0s`" in MANUAL
