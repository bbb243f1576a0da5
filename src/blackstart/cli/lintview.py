"""How `blackstart lint` shows what it found: lines, JSON or SARIF."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import click

from blackstart import __version__
from blackstart.plan.rules import Rule
from blackstart.plan.sarif import sarif
from blackstart.schema.errors import Finding, path_text


@dataclass(frozen=True)
class Outcome:
    """What was checked, what was found, by which rules; `note` is what else there is to say."""

    checked: str
    findings: tuple[Finding, ...]
    rules: tuple[Rule[Any], ...]
    note: str = ""

    @property
    def exit_code(self) -> int:
        """2 with an error among the findings."""
        return 2 if any(finding.severity == "error" for finding in self.findings) else 0

    @property
    def broken(self) -> list[Rule[Any]]:
        """The rules that have findings, in the order of the manual."""
        found = {finding.rule for finding in self.findings}
        return [rule for rule in self.rules if rule.id in found]


def show(outcome: Outcome, output: str) -> int:
    """Print it; returns the exit code."""
    if output == "json":
        rules = {rule.id: rule for rule in outcome.rules}
        click.echo(json.dumps([_json(finding, rules[finding.rule]) for finding in outcome.findings], indent=2))
    elif output == "sarif":
        click.echo(json.dumps(sarif(outcome.findings, outcome.rules, __version__), indent=2))
    else:
        _print(outcome)
    return outcome.exit_code


def _print(outcome: Outcome) -> None:
    for finding in outcome.findings:
        click.echo(str(finding))
    explained = [rule for rule in outcome.broken if rule.why]
    if explained:
        click.echo()
    for rule in explained:
        click.echo(f"{rule.id}: {rule.title} {rule.why} {rule.link}")
    counts = Counter(finding.severity for finding in outcome.findings)
    found = ", ".join(f"{n} {severity}{'s' if n > 1 else ''}" for severity, n in counts.items()) or "nothing to say"
    note = f"; {outcome.note}" if outcome.note else ""
    click.echo(f"{outcome.checked} checked: {found}{note}", err=True)


def _json(finding: Finding, rule: Rule[Any]) -> dict[str, object]:
    return {
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "path": path_text(finding.path),
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
        "fix": finding.fix,
        "why": rule.why,
        "link": rule.link,
    }
