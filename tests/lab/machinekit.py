"""A machine with an undo store of its own, and what can be seen of a run from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from labdrill import ROOT, kubectl

from blackstart.faults.marks import LABEL
from blackstart.fleet import nft
from blackstart.fleet.environment import environment
from blackstart.fleet.model import Fleet

APP = ["-n", "production", "get", "deployment/user-service", "-o", "json"]


@dataclass(frozen=True)
class Machine:
    """A machine with an undo store of its own."""

    state: Path
    fleet: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "BLACKSTART_STATE": str(self.state), "BLACKSTART_FLEET": str(self.fleet)}

    def run(self, *argv: str, deadline: float = 180.0) -> tuple[int, str]:
        command = [sys.executable, "-m", "blackstart", *argv]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=deadline, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def until_confirmed(self, count: int, process: subprocess.Popen[bytes], log: Path) -> None:
        """Wait until so many faults are in place and proven."""
        end = time.monotonic() + 120
        while len(list(self.state.glob("undo/*/*.confirmed.json"))) < count:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)


def kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)


def workload(lab: Fleet, region: str = "us") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl(lab.regions[region], *APP))
    return found


def left(lab: Fleet) -> list[str]:
    """What of a run is still in the fleet."""
    meta = workload(lab)["metadata"]
    marks = [
        key for kind in ("labels", "annotations") for key in meta.get(kind, {}) if key.startswith("blackstart.dev/")
    ]
    cuts = [table for place in lab.places.values() if place.netns for table in nft.tables(place)]
    slips = kubectl(lab.regions["us"], "get", "configmaps", "-A", "-l", LABEL, "-o", "name").split()
    return [*marks, *cuts, *slips]


def experiment(folder: Path, *method: dict[str, Any]) -> Path:
    """An experiment that breaks and then waits to be killed."""
    wait = {
        "type": "action",
        "name": "wait",
        "provider": {"type": "process", "path": "sleep", "arguments": "120", "timeout": 120},
        "undo": "none",
        "reason": "it only waits",
    }
    document = {
        "title": "t",
        "description": "d",
        "configuration": {"fleet": {"type": "env", "key": "BLACKSTART_FLEET"}},
        "method": [*method, wait],
        "rollbacks": [],
    }
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def fault(func: str, **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": "blackstart.activities.faults", "func": func, "arguments": arguments}
    return {"type": "action", "name": func, "provider": provider}


@contextmanager
def running(here: Machine, lab: Fleet, folder: Path, *method: dict[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """Plain `chaos run` with every fault of the method in place."""
    chaos = str(Path(sys.executable).with_name("chaos"))
    argv = [chaos, "--no-version-check", "run", str(experiment(folder, *method))]
    variables = {**here.environment, **environment(lab, folder)}
    with (folder / "chaos.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=folder, env=variables, stdout=log, stderr=log, start_new_session=True)
    try:
        here.until_confirmed(len(method), process, folder / "chaos.log")
        yield process
    finally:
        kill(process)
