"""Findings as SARIF 2.1.0, which code reviews show beside the lines that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from blackstart.plan.rules import Rule
from blackstart.schema.errors import Finding, Place, path_text

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif(findings: Sequence[Finding], rules: Sequence[Rule[Any]], version: str) -> dict[str, Any]:
    """A log with one run: every rule, and each finding with its place in a file."""
    index = {rule.id: i for i, rule in enumerate(rules)}
    driver = {"name": "blackstart", "version": version, "rules": [_rule(rule) for rule in rules]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "the directory that lint was started in"}}},
        "results": [_result(finding, index) for finding in findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule[Any]) -> dict[str, Any]:
    described = {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title} {rule.why}".strip()},
        "help": {"text": f"{rule.why} {rule.fix}".strip() or rule.title},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }
    return {**described, "helpUri": rule.link} if rule.link else described


def _result(finding: Finding, index: Mapping[str, int]) -> dict[str, Any]:
    where = f"{path_text(finding.path)}: " if finding.path else ""
    fix = f"; {finding.fix}" if finding.fix else ""
    return {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{where}{finding.message}{fix}"},
        "locations": [
            {"physicalLocation": {"artifactLocation": _file(finding.place), "region": _region(finding.place)}}
        ],
    }


def _file(place: Place) -> dict[str, str]:
    path = Path(place.file)
    if path.is_absolute():
        return {"uri": path.as_uri()}
    return {"uri": quote(path.as_posix()), "uriBaseId": "%SRCROOT%"}


def _region(place: Place) -> dict[str, int]:
    """A finding about a whole file stands in its first line."""
    region = {"startLine": place.line or 1}
    return {**region, "startColumn": place.column} if place.column else region
