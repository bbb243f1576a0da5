"""Runs a drill the way a user does: the command line, in a process of its own, and reads what it left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from blackstart.evidence.reader import EVIDENCE, read
from blackstart.evidence.records import FaultEvent, FaultState, PhaseStart, Samples
from blackstart.evidence.undo import Store
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet, Region
from blackstart.lab.processes import start_time
from blackstart.schema.result import Result

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"steady.window": "2s", "phases.baseline": "3s", "phases.hold": "8s", "phases.settle": "1s"}
"""Phases as short as a verdict allows; the suite has many drills."""


@dataclass(frozen=True)
class Ran:
    """What a drill left: exit code, output, result, folder."""

    code: int
    output: str
    result: Result
    folder: Path

    def faults(self) -> list[FaultEvent]:
        """Every state of every fault, in order."""
        return [line.body for line in read(self.folder / EVIDENCE) if isinstance(line.body, FaultEvent)]

    def injected(self) -> bool:
        """Whether anything was ever changed."""
        return any(event.state is FaultState.APPLIED for event in self.faults())

    def sampled(self) -> int:
        """How many client samples the evidence holds."""
        return sum(len(line.body.due) for line in read(self.folder / EVIDENCE) if isinstance(line.body, Samples))


def run_drill(
    drill: str | Path,
    fleet: Path,
    out: Path,
    *,
    settings: dict[str, str] | None = None,
    during: tuple[str, Callable[[], object]] | None = None,
    deadline: float = 180.0,
) -> Ran:
    """Run a drill with short phases. `during`: (phase, what to do once when that phase begins)."""
    argv = [sys.executable, "-m", "blackstart", "run", str(drill), "--fleet", str(fleet), "--out", str(out)]
    for key, value in {**QUICK, **(settings or {})}.items():
        argv += ["--set", f"{key}={value}"]
    log = out.parent / f"{out.name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(argv, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        try:
            if during:
                wait_for_phase(out, during[0], process, deadline)
                during[1]()
            code = process.wait(deadline)
        finally:
            if process.poll() is None:
                # It undoes what it broke before it goes.
                process.send_signal(signal.SIGTERM)
                process.wait(120)
    output = log.read_text()
    folders = sorted(out.iterdir()) if out.exists() else []
    assert folders, f"the run left no folder; it said:\n{output}"
    result = Result.model_validate_json((folders[-1] / "result.json").read_text())
    return Ran(code, output, result, folders[-1])


def plain_chaos(experiment: str, fleet: Fleet, folder: Path) -> None:
    """Run a shipped experiment by Chaos Toolkit alone: it succeeds, and leaves nothing to put back."""
    path = ROOT / "experiments" / f"{experiment}.yaml"
    env = {**os.environ, "BLACKSTART_FLEET": str(fleet.source), "BLACKSTART_STAY": "1"}
    env["BLACKSTART_STATE"] = str(folder / "state")
    env.pop("KUBERNETES_CONTEXT", None)
    # What `blackstart env` tells a shell to set.
    argv = [sys.executable, "-m", "blackstart", "env", "--fleet", str(fleet.source)]
    told = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=30, check=True).stdout
    exports = (line.removeprefix("export ") for line in told.splitlines() if line.startswith("export "))
    env |= {name: value.strip("'\"") for name, _, value in (line.partition("=") for line in exports)}
    chaos(["validate", str(path)], folder, env)
    chaos(["run", "--journal-path", "journal.json", str(path)], folder, env)
    journal = json.loads((folder / "journal.json").read_text())
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    ended = [activity["status"] for activity in (*journal["run"], *journal["rollbacks"])]
    assert set(ended) == {"succeeded"}
    assert not Store(folder / "state").read().outstanding


def chaos(argv: list[str], folder: Path, env: dict[str, str]) -> None:
    """The real `chaos` command."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("chaos")), "--no-version-check", *argv],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"chaos {argv[0]}: {done.stdout}\n{done.stderr}"


def wait_for_phase(out: Path, phase: str, process: subprocess.Popen[bytes], deadline: float) -> None:
    """Wait until the evidence says that a phase has begun."""
    end = time.monotonic() + deadline
    while time.monotonic() < end and process.poll() is None:
        for file in out.glob(f"*/{EVIDENCE}"):
            if any(isinstance(line.body, PhaseStart) and line.body.phase == phase for line in read(file)):
                return
        time.sleep(0.05)
    raise AssertionError(f"phase {phase} never began")


def edited(fleet: Fleet, folder: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the lab's fleet.yaml with a change."""
    assert fleet.source is not None
    document = yaml.safe_load(fleet.source.read_text())
    edit(document)
    path = folder / "fleet.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def content(kind: str, name: str, folder: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """A changed copy of a shipped file, in `folder/<kind>/<name>.yaml`."""
    document = yaml.safe_load((ROOT / kind / f"{name}.yaml").read_text())
    edit(document)
    path = folder / kind / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def shipped(kind: str, mesh: bool = False) -> list[str]:
    """The names of shipped drills or experiments about a mesh, or that need no more than the plain lab."""
    return sorted(file.stem for file in (ROOT / kind).glob("*.yaml") if _about(file) == ({"mesh"} if mesh else set()))


def _about(file: Path) -> set[str]:
    document = yaml.safe_load(file.read_text())
    if "experiment" in document:
        return _about(ROOT / "experiments" / f"{document['experiment']}.yaml")
    return {"mesh", "data", "backup", "global-metrics"} & set(document.get("tags", []))


def kubectl(region: Region, *argv: str, stdin: str | None = None) -> str:
    """kubectl against one region of the lab."""
    command = [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(region.cluster.kubeconfig), *argv]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout


def settle(fleet: Fleet, deadline: float = 60.0) -> None:
    """Wait until every workload of the fleet is complete, so that one test does not spoil the next."""
    end = time.monotonic() + deadline
    for service in fleet.services.values():
        for name, workload in service.workloads.items():
            with Kube(fleet.regions[name].cluster) as kube:
                while not kube.deployment(workload.namespace, workload.deployment).settled:
                    assert time.monotonic() < end, f"{name}: {workload.deployment} does not settle"
                    time.sleep(0.2)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing for the length of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def end(pid: int) -> None:
    """Kill a process of the lab and wait until it is gone: SIGKILL takes its time on a busy machine."""
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while start_time(pid) is not None:
        assert time.monotonic() < until, f"process {pid} does not die"
        time.sleep(0.01)


def pid_of(lab: Path, member: str, part: str) -> int:
    """The process id of a part of the lab."""
    pids = json.loads((lab / member / "pids.json").read_text())
    return int(pids[part]["pid"])
