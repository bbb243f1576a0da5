"""SARIF of `blackstart lint`: what the format requires, and what code reviews need of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import contentkit
import jsonschema
import pytest

from blackstart import __version__
from blackstart.cli import invoke

EXAMPLES = Path(__file__).parent / "mesh_examples"

TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
REGION = {
    "type": "object",
    "required": ["startLine"],
    "properties": {"startLine": {"type": "integer", "minimum": 1}, "startColumn": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}
PHYSICAL = {
    "type": "object",
    "required": ["artifactLocation", "region"],
    "properties": {
        "artifactLocation": {
            "type": "object",
            "required": ["uri"],
            "properties": {"uri": {"type": "string", "minLength": 1}, "uriBaseId": {"const": "%SRCROOT%"}},
            "additionalProperties": False,
        },
        "region": REGION,
    },
    "additionalProperties": False,
}
RESULT = {
    "type": "object",
    "required": ["ruleId", "ruleIndex", "level", "message", "locations"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": LEVEL,
        "message": TEXT,
        "locations": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["physicalLocation"],
                "properties": {"physicalLocation": PHYSICAL},
            },
        },
    },
    "additionalProperties": False,
}
RULE = {
    "type": "object",
    "required": ["id", "shortDescription", "fullDescription", "help", "defaultConfiguration"],
    "properties": {
        "id": {"type": "string", "pattern": r"^BSM?\d{3}$"},
        "shortDescription": TEXT,
        "fullDescription": TEXT,
        "help": TEXT,
        "helpUri": {"type": "string", "pattern": "^https://"},
        "defaultConfiguration": {"type": "object", "properties": {"level": LEVEL}, "additionalProperties": False},
    },
    "additionalProperties": False,
}
DRIVER = {
    "type": "object",
    "required": ["name", "version", "rules"],
    "properties": {
        "name": {"const": "blackstart"},
        "version": {"type": "string"},
        "rules": {"type": "array", "items": RULE},
    },
    "additionalProperties": False,
}
LOG = {
    "type": "object",
    "required": ["$schema", "version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {"type": "object", "required": ["driver"], "properties": {"driver": DRIVER}},
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "originalUriBaseIds": {"type": "object"},
                    "results": {"type": "array", "items": RESULT},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
"""What the standard requires of the parts that are used, and nothing besides."""


def lint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The results and the rules, from a log that meets the standard."""
    invoke(["lint", "-o", "sarif", *arguments])
    log = json.loads(capsys.readouterr().out)
    jsonschema.validate(log, LOG)
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["version"] == __version__
    assert all(driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
    return run["results"], driver["rules"]


def test_a_mesh(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    results, rules = lint(capsys, "--mesh", "seed.yaml")
    (result,) = (r for r in results if r["ruleId"] == "BSM403")
    assert result["level"] == "error"
    assert result["message"]["text"].startswith("spec.endpoints[0].address: user-service.production.svc.cluster2")
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "seed.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 18, "startColumn": 5},
    }
    assert {r["level"] for r in results} == {"error", "warning", "note"}
    assert all(urlsplit(rule["helpUri"]).netloc for rule in rules if rule["id"] != "BSM001")


def test_content(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    contentkit.write(tmp_path, drill={"experiment": "other", "objectives.1": None})
    (tmp_path / "drills" / "a b.yaml").write_text("")
    results, rules = lint(capsys)
    wanted = {("BS001", "drills/a%20b.yaml", 1), ("BS101", "drills/demo.yaml", 3)}
    found = {
        (r["ruleId"], place["artifactLocation"]["uri"], place["region"]["startLine"])
        for r in results
        for place in [r["locations"][0]["physicalLocation"]]
    }
    assert {rule for rule, *_ in found} == {"BS001", "BS101", "BS107"}
    assert wanted <= found
    assert {"BS001", "BS407"} <= {rule["id"] for rule in rules}


def test_nothing_to_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contentkit.write(tmp_path)
    assert lint(capsys, str(tmp_path))[0] == []


def test_files_outside_the_working_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.yaml").write_text("a: [")
    (result,), _ = lint(capsys, "--mesh", str(tmp_path / "x.yaml"))
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": (tmp_path / "x.yaml").as_uri()}
