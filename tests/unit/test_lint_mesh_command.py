"""`blackstart lint --mesh`: what it prints, how it exits, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import meshkit
import pytest

from blackstart.cli import invoke

BAD = meshkit.RULE % 10


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one cluster, as the working directory."""
    meshkit.read(tmp_path, us=BAD + "kind: Secret\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_findings_and_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["lint", "--mesh", "--replicas", "us=3,eu=3"]) == 2
    said = capsys.readouterr()
    first, blank, second = said.out.splitlines()
    assert first == (
        "us/mesh.yaml:9: spec.trafficPolicy.outlierDetection.maxEjectionPercent: "
        "10 % of 6 hosts ejects none; the loss of us takes 3; set maxEjectionPercent: 100 [BSM201]"
    )
    assert blank == ""
    assert second.startswith("BSM201: maxEjectionPercent allows")
    assert second.endswith("https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier")
    assert said.err == "1 file checked: 1 error; 1 object of other kinds ignored (Secret)\n"


@pytest.mark.parametrize("more", [["us"], ["us/mesh.yaml"], ["."], ["us", "--rto", "20s", "--regions", "us,eu"]])
def test_files_and_folders(folder: Path, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["lint", "--mesh", *more]) == 2
    assert "[BSM201]" in capsys.readouterr().out


def test_warnings_do_not_fail(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["lint", "--mesh", "--replicas", "us=1,eu=9", "--rto", "1s"]) == 2
    meshkit.read(folder, us=meshkit.RULE % 100)
    assert invoke(["lint", "--mesh", "--rto", "1s"]) == 0
    assert "[BSM204]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rto", "30s"], "--rto goes with --mesh"),
        (["--regions", "us"], "--regions goes with --mesh"),
        (["--replicas", "us=1"], "--replicas goes with --mesh"),
        (["--mesh", "--rto", "30"], "is not a duration; write it with a unit"),
        (["--mesh", "--rto", "0s"], "must be longer than 0"),
        (["--mesh", "--replicas", "us:3"], "write us=3,eu=3"),
        (["--mesh", "--replicas", ""], "write us=3,eu=3"),
        (["--mesh", "--regions", "us,,eu"], "write us,eu"),
        (["--mesh", "us", "--fleet", "fleet.yaml"], "either PATHS or --fleet, not both"),
        (["--mesh", "--fleet", "fleet.yaml", "-o", "sarif"], "use -o json with --fleet"),
    ],
)
def test_wrong_usage(folder: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["lint", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_nothing_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert invoke(["lint", "--mesh", "empty"]) == 2
    assert "empty: has no mesh configuration: no YAML files" in capsys.readouterr().err
    assert invoke(["lint", "--mesh", "none.yaml"]) == 2
    assert "none.yaml: cannot be read: No such file or directory [BSM001]" in capsys.readouterr().out


def test_a_broken_file_does_not_hide_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "us" / "template.yaml").write_text((meshkit.RULE % 100).replace("users", "{{ .Values.host }}"))
    assert invoke(["lint", "--mesh"]) == 2
    out = capsys.readouterr().out
    assert "us/template.yaml:" in out
    assert "is it a template? render it first [BSM001]" in out
    assert "[BSM201]" in out
