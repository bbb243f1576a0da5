"""`blackstart lint`: which files it looks at, what it prints, how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import contentkit
import pytest

from blackstart.cli import invoke


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of good content, as the working directory."""
    contentkit.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("paths", [[], ["."], ["drills/demo.yaml", "probes"], ["fleet.yaml"]])
def test_good_content(folder: Path, paths: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["lint", *paths]) == 0
    assert capsys.readouterr().out == ""


def test_the_summary_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contentkit.write(folder, drill={"objectives.1": None})
    assert invoke(["lint"]) == 0
    assert capsys.readouterr().err == "4 files checked: 1 info\n"


def test_each_finding_is_said_once_with_its_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contentkit.write(folder, probe={"every": "often"})
    assert invoke(["lint"]) == 2
    wanted = (
        "probes/ready.yaml:4: every: 'often' is not a duration; write it with a unit: 500ms, 30s, 1m30s [BS001]\n"
    )
    assert capsys.readouterr().out == wanted


def test_with_a_fleet_roles_are_looked_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contentkit.write(folder, drill={"victims": ["primery"]})
    assert invoke(["lint"]) == 0
    assert invoke(["lint", "--fleet", "fleet.yaml"]) == 2
    assert 'did you mean "primary"? [BS105]' in capsys.readouterr().out


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contentkit.write(folder, drill={"experiment": "other"})
    assert invoke(["lint", "-o", "json"]) == 2
    (finding,) = json.loads(capsys.readouterr().out)
    assert finding == {
        "file": "drills/demo.yaml",
        "line": 3,
        "column": 1,
        "path": "experiment",
        "rule": "BS101",
        "severity": "error",
        "message": finding["message"],
        "fix": "",
        "why": "",
        "link": "",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n", "is no content file"),
        ("[1]\n", "is no content file"),
        ("drill: 3\n", "drill: expected text, found 3"),
        ("probe: a\n", "kind"),
        ("probe: a\nkind: htpp\n", 'did you mean "http"?'),
        ("fleet: a\n", 'missing key "regions"'),
        ("method: []\n", "experiment requires a title"),
    ],
)
def test_a_file_is_what_its_keys_say(folder: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.yaml").write_text(text)
    assert invoke(["lint", "x.yaml"]) == 2
    assert said in capsys.readouterr().out


def test_a_file_without_its_key_is_what_its_folder_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "drills" / "x.yaml").write_text("title: x\n")
    assert invoke(["lint", "drills"]) == 2
    assert 'drills/x.yaml:1: missing key "drill"' in capsys.readouterr().out


def test_files_that_are_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["lint", "none.yaml"]) == 2
    assert invoke(["lint", "--fleet", "none.yaml"]) == 2
    said = capsys.readouterr()
    assert "none.yaml: cannot be read: No such file or directory" in said.out
    assert "none.yaml: no such file; `blackstart lab up`" in said.err


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["lint", str(tmp_path)]) == 2
    assert "has no drills, probes or experiments; run `blackstart init DIR` first" in capsys.readouterr().err
