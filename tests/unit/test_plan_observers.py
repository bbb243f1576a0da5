"""What a plan says of faults on observers: what they break, and that no guardian puts them back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import contentkit
import pytest

from blackstart.plan.resolve import make_plan
from blackstart.plan.steps import steps

POWER = {command: ["true"] for command in ("kill", "freeze", "restore", "state")}
WATCHED = {
    "regions.eu.prometheus": {"url": "http://10.0.0.2:9090", "place": "operator", "power": POWER},
    "regions.eu.sidecar": {"url": "http://10.0.0.2:10902", "address": "10.0.0.2:10901", "place": "operator"},
}


@pytest.mark.parametrize(
    ("func", "more", "breaks", "back", "why"),
    [
        ("kill_observer", {"part": "prometheus"}, "eu/prometheus", "watchdog", "where the undo store of this run is"),
        ("freeze_observer", {"part": "prometheus"}, "eu/prometheus", "watchdog", "no cluster has a record of it"),
        ("block_store_api", {}, "eu/store", "kernel", "after the last renewal"),
    ],
)
def test_who_puts_it_back_is_said_as_it_is(
    tmp_path: Path, func: str, more: dict[str, Any], breaks: str, back: str, why: str
) -> None:
    provider = {"type": "python", "module": "blackstart.activities.faults", "func": func}
    action = {"type": "action", "name": "break", "provider": {**provider, "arguments": {"region": "standby", **more}}}
    undo = {"type": "action", "name": "undo", "provider": {**provider, "func": "undo"}}
    file = contentkit.write(tmp_path, experiment={"method.0": action, "rollbacks.0": undo}, fleet=WATCHED)
    plan = make_plan(file, tmp_path / "fleet.yaml")
    (step,) = [step for step in steps(plan) if step.section == "method"]
    assert (step.back, step.problem) == (back, "")
    assert step.breaks == (f"{func.replace('_', '-')} {breaks}",)
    assert why in step.why
