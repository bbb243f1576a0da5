"""The forecast of shipped drills comes true on a lab with a mesh."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from labdrill import ROOT, run_drill
from meshlab import settle_behind_the_gateway

from blackstart.fleet.model import Fleet
from blackstart.schema.forecast import Foreseen

BY = {"gateway-loss": "the balancer's health checks", "endpoint-blackhole": "the gateway's outlier detection"}
"""Two parts of the formulas; bench/forecast.py has many more drills."""


@pytest.mark.parametrize("drill", [pytest.param("gateway-loss", marks=pytest.mark.full), "endpoint-blackhole"])
def test_what_was_foretold_is_measured(mesh: Fleet, tmp_path: Path, drill: str) -> None:
    settle_behind_the_gateway(mesh)
    ran = run_drill(drill, mesh.source or Path(), tmp_path / "out")
    [found] = ran.result.forecasts.values()
    assert (found.forecast.by, found.forecast.reason) == (BY[drill], "")
    assert [c.figure for c in found.compared] == ["taken_out", "recovered", "failback"]
    assert off(found) == {}, ran.output


def off(found: Foreseen) -> dict[str, str]:
    """What did not come true."""
    return {c.figure: f"{c.measured} is not in {c.expected}" for c in found.compared if not c.inside}


def test_the_plan_of_a_lab_has_a_forecast_for_every_service(mesh: Fleet) -> None:
    argv = [sys.executable, "-m", "blackstart", "plan", "region-loss", "--fleet", str(mesh.source), "-o", "json"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    [forecast] = json.loads(done.stdout)["forecasts"].values()
    assert (forecast["reason"], forecast["taken_out"]) == ("", {"low": 1.5, "high": 2.0})
    assert forecast["capacity"]["ready"] == {"eu": 3}
