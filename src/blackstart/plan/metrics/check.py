"""Every rule over metrics."""

from __future__ import annotations

from dataclasses import dataclass

from blackstart.plan.lint import in_order
from blackstart.plan.metrics import federating, placing, scraping, thanos
from blackstart.plan.metrics.model import MetricsConfig
from blackstart.plan.rules import Rule, form
from blackstart.schema.errors import Finding

FORM = form("BSP001", "The file is readable YAML.")
"""The rule of every finding about a file's form."""

_GROUPS = (scraping, thanos, federating, placing)

RULES: list[Rule[MetricsConfig]] = [rule for group in _GROUPS for rule in group.RULES.all]
"""Every rule, in the order of the manual."""


@dataclass(frozen=True)
class Source:
    """Metrics as they were read: from how many files or servers, what could not be read."""

    metrics: MetricsConfig
    read: str
    problems: tuple[Finding, ...] = ()


def lint_metrics(metrics: MetricsConfig) -> list[Finding]:
    """Everything to say about some metrics, sorted by place."""
    return in_order(finding for rule in RULES for finding in rule(metrics))
