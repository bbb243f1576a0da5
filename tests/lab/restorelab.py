"""Restores on the lab without a drill around them: the step itself, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from datalab import eventually
from labdrill import kubectl

from blackstart.evidence.promotions import Promotions
from blackstart.evidence.records import Body
from blackstart.evidence.restores import Restored
from blackstart.evidence.undo import Store
from blackstart.faults.backing_up import back_up
from blackstart.faults.inject import Context, restore_all
from blackstart.fleet.model import Fleet
from blackstart.procedures.base import Work, run_step
from blackstart.schema.errors import BlackstartError
from blackstart.schema.procedure import Step

LEFT = ("namespaces", "restores.velero.io", "configmaps")
SYNC = 80.0
"""Seconds: a region takes up another's backups once a minute."""


def left(fleet: Fleet, region: str) -> list[str]:
    """What carries a run's label, and namespaces of drills by their names."""
    found = []
    for resource in LEFT:
        text = kubectl(fleet.regions[region], "get", resource, "-A", "-l", "blackstart.dev/run", "-o", "json")
        found += [f"{resource}/{item['metadata']['name']}" for item in json.loads(text)["items"]]
    names = kubectl(fleet.regions[region], "get", "namespaces", "-o", "name").split()
    return found + [name for name in names if name.endswith(("-dr", "-sandbox"))]


def known(fleet: Fleet) -> None:
    """Wait until the standby knows a backup of the schedule."""

    def look() -> bool:
        selector = ["-l", "velero.io/schedule-name", "-o", "name"]
        return bool(kubectl(fleet.regions["eu"], "-n", "velero", "get", "backups.velero.io", *selector).strip())

    eventually("eu knows a scheduled backup", look, SYNC)


@dataclass
class Tried:
    """A run of its own: a backup, a restore, and what came of it."""

    fleet: Fleet
    work: Work
    told: list[Body]

    def back_up(self, namespace: str = "production") -> str:
        """A fresh backup of us."""
        return back_up(self.fleet, "us", namespace, self.work.run, sandbox=False, deadline=60)

    def restore(self, deadline: float = 60.0, **wanted: Any) -> str:
        """The step, into eu; what it says, or why it failed."""
        usual = {"backup": "fresh", "from": "us", "to": "eu", "sync": "post"}
        spaces = {"namespaces": {"production": "production-dr"}}
        step = {"name": "restore", "deadline": deadline, "restore": {**usual, **spaces, **wanted}}
        try:
            return run_step(self.work, Step.model_validate(step))
        except BlackstartError as error:
            return f"FAILED: {error}"

    @property
    def record(self) -> Restored:
        """What is written down of the last one."""
        return [body for body in self.told if isinstance(body, Restored)][-1]


@contextmanager
def attempt(fleet: Fleet, folder: Path) -> Iterator[Tried]:
    """A run whose things are gone after the block."""
    told: list[Body] = []
    run, store = f"test-{uuid4().hex[:12]}", Store(folder / "state")
    work = Work(fleet, run, folder, Promotions(folder / "state"), undo=store, tell=told.append)
    try:
        yield Tried(fleet, work, told)
    finally:
        assert restore_all(store.read(run).outstanding, fleet, Context(run, store, told.append)) == []
        assert left(fleet, "eu") == []
