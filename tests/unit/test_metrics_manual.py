"""docs/metrics-lint.md says of every rule, kind and option what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from blackstart.plan.metrics.check import FORM, RULES
from blackstart.plan.metrics.files import COMPONENTS, KINDS
from blackstart.plan.metrics.model import UNSAID_RTO

MANUAL = (Path(__file__).resolve().parents[2] / "docs" / "metrics-lint.md").read_text()
ROW = re.compile(r"^\| (BSP\d+) \| (\w+) \| (.+?) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def test_every_rule_is_listed() -> None:
    wanted = [
        (rule.id, rule.severity, rule.title, f"{rule.why} [More]({rule.link})" if rule.link else rule.why, rule.fix)
        for rule in (FORM, *RULES)
    ]
    assert ROW.findall(MANUAL) == wanted


def test_every_kind_component_and_option_is_explained() -> None:
    assert all(re.search(rf"\b{kind}\b", MANUAL) for kind in KINDS)
    assert all(f"`thanos {component}`" in MANUAL for component in COMPONENTS)
    assert f"| `--rto 10s` | how long a failover may take | {UNSAID_RTO:g} s |" in MANUAL
