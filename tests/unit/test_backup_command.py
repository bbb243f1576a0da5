"""`blackstart lint --backup`: what it prints, how it exits, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from blackstart.cli import invoke

EXAMPLES = Path(__file__).parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one cluster, whose Velero is as in many documents; the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "us").mkdir()
    shutil.copyfile(EXAMPLES / "backup_examples" / "seed.sh", tmp_path / "us" / "velero.sh")
    return tmp_path


def test_findings_and_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "us" / "other.yaml").write_text("apiVersion: v1\nkind: Secret\n")
    assert invoke(["lint", "--backup", "--rpo", "1h"]) == 2
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == (
        "us/velero.sh:6: spec.config.region: bucket velero-backups is in us-east-1, like the cluster us; "
        "use a bucket in another region, or replicate it to one and give the other cluster a ReadOnly location there "
        "[BSB201]"
    )
    assert any(line.startswith("BSB101: Backups are made often enough") for line in lines)
    assert said.err == "2 files checked: 4 errors, 2 warnings; 1 object of other kinds ignored (Secret)\n"


def test_sarif_has_every_rule_and_the_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["lint", "--backup", "us", "-o", "sarif"]) == 2
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert len(run["tool"]["driver"]["rules"]) > 30
    places = [one["locations"][0]["physicalLocation"] for one in run["results"]]
    assert {place["artifactLocation"]["uri"] for place in places} == {"us/velero.sh"}
    assert sorted(place["region"]["startLine"] for place in places) == [6, 13, 13, 13, 14]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--backup", "--mesh"], "either --mesh or --backup, not both"),
        (["--backup", "--data"], "either --data or --backup, not both"),
        (["--backup", "--rto", "5s"], "--rto goes with --mesh"),
        (["--backup", "--rpo", "soon"], "--rpo: 'soon' is not a duration"),
        (["--mesh", "--rpo", "1h"], "--rpo goes with --data or --backup"),
        (["--backup", "us", "--fleet", "fleet.yaml"], "either PATHS or --fleet, not both"),
        (["--backup", "--fleet", "fleet.yaml", "-o", "sarif"], "use -o json with --fleet"),
        (["--backup", "empty"], "empty: has no object of Velero in 0 files (.yaml, .yml, .sh)"),
    ],
)
def test_wrong_usage(folder: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert invoke(["lint", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_what_cannot_be_read_is_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "us" / "chart.yaml").write_text(
        "apiVersion: velero.io/v1\nkind: Schedule\nspec: {schedule: {{ .Values.cron }}}\n"
    )
    assert invoke(["lint", "--backup", "us", "none.yaml"]) == 2
    out = capsys.readouterr().out
    assert "us/chart.yaml:3: " in out
    assert "is it a template? render it first [BSB001]" in out
    assert "none.yaml: cannot be read: No such file or directory [BSB001]" in out
    assert "[BSB201]" in out
