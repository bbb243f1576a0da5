"""Every rule over the configuration of databases."""

from __future__ import annotations

from dataclasses import dataclass

from blackstart.plan.data import redisrules, sqlrules
from blackstart.plan.data.model import DataConfig
from blackstart.plan.lint import in_order
from blackstart.plan.rules import Rule, form
from blackstart.schema.errors import Finding

FORM = form("BSD001", "The file is readable.")
"""The rule of every finding about a file's form."""

RULES: list[Rule[DataConfig]] = [*sqlrules.RULES.all, *redisrules.RULES.all]
"""Every rule, in the order of the manual."""


@dataclass(frozen=True)
class Source:
    """Databases as they were read: from how many files or servers, what could not be read."""

    data: DataConfig
    read: str
    problems: tuple[Finding, ...] = ()


def lint_data(data: DataConfig) -> list[Finding]:
    """Everything to say about some databases, sorted by place."""
    return in_order(finding for rule in RULES for finding in rule(data))
