"""`blackstart init`: a newcomer's copy is complete and lint accepts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackstart.cli import invoke
from blackstart.fleet.load import load_fleet
from blackstart.schema.content import content_dir


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_the_copy_is_accepted_by_lint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mine"
    assert invoke(["init", str(folder)]) == 0
    assert invoke(["lint", str(folder)]) == 0
    assert invoke(["lint", str(folder), "--fleet", str(folder / "fleet.yaml")]) == 0, capsys.readouterr().out


def test_everything_shipped_is_copied(tmp_path: Path) -> None:
    assert invoke(["init", str(tmp_path)]) == 0
    shipped = {
        f"{name}/{file.name}"
        for name in ("drills", "experiments", "probes")
        for file in content_dir(name).glob("*.yaml")
    }
    assert files(tmp_path) == shipped | {"fleet.yaml", "README.md"}


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fleet.yaml").write_text("mine")
    (tmp_path / "other.txt").touch()
    assert invoke(["init", str(tmp_path)]) == 2
    assert "fleet.yaml: is there already" in capsys.readouterr().err
    assert files(tmp_path) == {"fleet.yaml", "other.txt"}


def test_other_files_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "other.txt").touch()
    assert invoke(["init", str(tmp_path)]) == 0


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert invoke(["init", str(tmp_path / "file" / "below")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_example_shows_where_secrets_and_paths_go(tmp_path: Path) -> None:
    invoke(["init", str(tmp_path)])
    us = load_fleet(tmp_path / "fleet.yaml").regions["us"]
    assert us.cluster.kubeconfig == tmp_path / "kubeconfigs/us.yaml"
    assert us.prometheus is not None
    assert str(us.prometheus.token) == "${env:PROMETHEUS_TOKEN}"
