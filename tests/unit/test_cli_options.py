"""Options that several commands share: the fleet from the environment, and settings of the drill."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from faultkit import bench

from blackstart import cli

COMMANDS = ("plan", "run", "status", "env")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_fleet_comes_from_the_same_places(name: str) -> None:
    command = cli.cli.get_command(click.Context(cli.cli), name)
    assert command is not None
    (option,) = [param for param in command.params if param.name == "fleet"]
    assert option.envvar == "BLACKSTART_FLEET"
    assert str(option.default) == ".blackstart/lab/fleet.yaml"


def test_env_is_for_the_fleet_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BLACKSTART_STATE", str(tmp_path / "state"))
    with bench(tmp_path) as here:
        monkeypatch.setenv("BLACKSTART_FLEET", str(here.fleet_file))
        assert cli.invoke(["env"]) == 0
    out = capsys.readouterr().out
    assert f"export BLACKSTART_FLEET={here.fleet_file}\n" in out
    assert "export BLACKSTART_CONTEXT_PRIMARY=here\n" in out


@pytest.mark.parametrize("name", ["plan", "run"])
@pytest.mark.parametrize("setting", ["phases.hold", "=20s"])
def test_a_setting_that_is_none(name: str, setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoke([name, "region-loss", "--set", setting]) == 2
    assert "is not KEY=VALUE" in capsys.readouterr().err
