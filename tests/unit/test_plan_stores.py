"""What a plan says of faults on stores: whom they lock, and that no guardian puts them back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import contentkit
import pytest

from blackstart.plan.resolve import make_plan
from blackstart.plan.steps import steps
from blackstart.plan.touched import touched

FAULTS = "blackstart.activities.faults"


def a_plan(folder: Path, func: str, **arguments: Any) -> Any:
    power = {"kill": ["true"], "restore": ["true"], "state": ["true"]}
    members = {
        region: {"address": f"10.0.0.{i}:3306", "place": "operator", "power": power}
        for i, region in enumerate(("us", "eu"), 1)
    }
    store = {"kind": "mariadb", "primary": "us", "members": members, "admin": {"user": "a"}}
    provider = {"type": "python", "module": FAULTS, "func": func}
    given = {"store": "database", "region": "standby", **arguments}
    action = {"type": "action", "name": "break", "provider": {**provider, "arguments": given}}
    undo = {"type": "action", "name": "undo", "provider": {**provider, "func": "undo"}}
    roles = {**contentkit.FLEET["roles"], "database": "orders"}
    file = contentkit.write(
        folder,
        experiment={"method.0": action, "rollbacks.0": undo},
        fleet={"stores": {"orders": store}, "roles": roles},
    )
    return make_plan(file, folder / "fleet.yaml")


@pytest.mark.parametrize(
    ("func", "back", "why"),
    [
        ("stop_replication", "watchdog", "no cluster has a record of it"),
        ("kill_store", "watchdog", "where the undo store of this run is"),
        ("sever_store", "kernel", "after the last renewal"),
    ],
)
def test_who_puts_it_back_is_said_as_it_is(tmp_path: Path, func: str, back: str, why: str) -> None:
    plan = a_plan(tmp_path, func)
    (step,) = [step for step in steps(plan) if step.section == "method"]
    assert (step.back, step.problem) == (back, "")
    assert step.breaks == (f"{func.replace('_', '-')} orders/eu",)
    assert why in step.why


def test_every_member_of_the_store_is_locked(tmp_path: Path) -> None:
    plan = a_plan(tmp_path, "sever_store")
    assert touched(plan.experiment, plan.fleet, ()) == ["eu", "us"]
