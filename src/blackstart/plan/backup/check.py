"""Every rule over backups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blackstart.plan.backup import contents, placing, restoring, running, timing, volumes
from blackstart.plan.backup.model import BackupConfig
from blackstart.plan.backup.templates import schedules
from blackstart.plan.lint import in_order
from blackstart.plan.rules import Rule, form
from blackstart.schema.errors import Finding

FORM = form("BSB001", "The file is readable YAML.")
"""The rule of every finding about a file's form."""

_GROUPS = (timing, placing, contents, volumes, restoring, running)

RULES: list[Rule[BackupConfig]] = [rule for group in _GROUPS for rule in group.RULES.all]
"""Every rule, in the order of the manual."""


@dataclass(frozen=True)
class Source:
    """Backups as they were read: from how many files or clusters, what was left out, what could not be read."""

    backups: BackupConfig
    read: str
    others: Mapping[str, int]
    problems: tuple[Finding, ...] = ()


def lint_backups(backups: BackupConfig) -> list[Finding]:
    """Everything to say about some backups, sorted by place."""
    return in_order(finding for rule in RULES for finding in rule(backups))


def unasked(backups: BackupConfig) -> str:
    """What schedules promise where no RPO was said; empty where one was, or where there are none."""
    ages = [(timing.worst_age(one), one.resource.name) for one in schedules(backups)]
    known = sorted((age, name) for age, name in ages if age is not None)
    if backups.said.rpo is not None or not known:
        return ""
    age, name = known[-1]
    return f"without --rpo: a backup can be {timing.shown(age)} old ({name})"
