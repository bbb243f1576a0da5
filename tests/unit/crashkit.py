"""A whole run, as a process, on a cluster in memory with a real guardian: for crashes at any point."""

from __future__ import annotations

import contextlib
import copy
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from faultkit import APP, Bench, bench
from guardkit import Place

TTL = 3.0
"""The shortest lease that a drill may have, seconds."""

DRILL: dict[str, Any] = {
    "drill": "crash",
    "title": "Crash",
    "experiment": "crash",
    "services": ["frontend"],
    "victims": [],
    "client": {"interval": "100ms", "timeout": "300ms"},
    "steady": {"success": "90%", "window": "1s"},
    "phases": {"baseline": "1s", "hold": "2s", "failback": "10s", "settle": "0s"},
    "lease": f"{TTL:g}s",
    "objectives": [
        {"kind": "completeness", "service": "frontend"},
        # Its only region is the one that is lost: it is enough that clients were served before and after.
        {"kind": "availability", "service": "frontend", "objective": "1%"},
    ],
    "guards": [],
}
ARGUMENTS = {"scale": {"service": "frontend", "region": "primary"}, "kill": {"region": "primary"}}


@dataclass
class Crash:
    """One run on a bench. `fault` is the activity that breaks things."""

    place: Place
    folder: Path
    fault: str = "scale"
    before: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = self.state()

    @property
    def here(self) -> Bench:
        return self.place.here

    def state(self) -> dict[str, Any]:
        """Everything that a drill may change, but for versions and Events."""
        found = copy.deepcopy(self.here.api.deployments[APP])
        for key in ("generation", "resourceVersion"):
            found["metadata"].pop(key, None)
        for key in ("labels", "annotations"):
            if not found["metadata"].get(key):
                found["metadata"].pop(key, None)
        found.pop("status", None)
        power = self.folder / "power"
        up = power.read_text().strip() if power.exists() else "up"
        return {"deployment": found, "objects": self.place.left(), "power": up}

    @contextlib.contextmanager
    def run(self, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """`blackstart run`, in a session of its own; everything that it started is ended afterwards."""
        argv = [sys.executable, "-m", "blackstart", "run", str(self._drill()), "--fleet", str(self.here.fleet_file)]
        environment = {
            **os.environ,
            "BLACKSTART_STATE": str(self.here.store.state),
            "BLACKSTART_FAILPOINT_LOG": str(self.folder / "struck"),
            **environment,
        }
        with (self.folder / "out").open("wb") as out:
            process = subprocess.Popen(
                argv, cwd=self.folder, env=environment, stdout=out, stderr=out, start_new_session=True
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def processes(self) -> list[int]:
        """What still runs with this bench's undo store in its environment."""
        wanted, found = f"BLACKSTART_STATE={self.here.store.state}".encode(), []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError, IndexError):
                    dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
                    if wanted in (entry / "environ").read_bytes().split(b"\0") and not dead:
                        found.append(int(entry.name))
        return found

    def struck(self, deadline: float = 60.0) -> int:
        """The process at which the failpoint struck, as soon as it has."""
        until = time.monotonic() + deadline
        while time.monotonic() < until:
            with contextlib.suppress(OSError, IndexError):
                return int((self.folder / "struck").read_text().split()[2])
            time.sleep(0.02)
        raise AssertionError(f"never came there: {self.said()}")

    def until_as_before(self, deadline: float) -> float:
        """Seconds until everything is as before, and nobody works on it any more."""
        began = time.monotonic()
        while time.monotonic() < began + deadline:
            if self.state() == self.before:
                return time.monotonic() - began
            time.sleep(0.05)
        changed = {key: value for key, value in self.state().items() if value != self.before[key]}
        raise AssertionError(f"not as before after {deadline:g} s: {changed}\n{self.said()}")

    def until_quiet(self, deadline: float) -> None:
        """Wait until no process of the run is left."""
        until = time.monotonic() + deadline
        while left := self.processes():
            assert time.monotonic() < until, f"still there: {left}\n{self.said()}"
            time.sleep(0.05)

    def said(self) -> str:
        """All that anybody printed."""
        logs = [self.folder / "out", *sorted(self.folder.glob("reports/*/*.log"))]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in logs)

    def _drill(self) -> Path:
        provider = {"type": "python", "module": "blackstart.activities.faults"}
        undo = {"type": "action", "name": "undo", "provider": {**provider, "func": "undo"}}
        act = {**provider, "func": self.fault, "arguments": ARGUMENTS[self.fault]}
        experiment = {
            "title": "crash",
            "description": "crash",
            "configuration": {"fleet": {"type": "env", "key": "BLACKSTART_FLEET"}},
            "runtime": {"rollbacks": {"strategy": "always"}},
            "method": [{"type": "action", "name": "break", "provider": act}],
            "rollbacks": [undo],
        }
        for name, content in (("drills", DRILL), ("experiments", experiment)):
            (self.folder / name).mkdir(exist_ok=True)
            (self.folder / name / "crash.yaml").write_text(yaml.safe_dump(content))
        return self.folder / "drills" / "crash.yaml"


@contextlib.contextmanager
def crash(folder: Path, fault: str = "scale") -> Iterator[Crash]:
    """A bench for one run, with a cluster that runs guardians."""
    with bench(folder) as here:
        fleet = yaml.safe_load(here.fleet_file.read_text())
        fleet["guardian"] = {"image": "blackstart:1"}
        here.fleet_file.write_text(yaml.safe_dump(fleet))
        place = Place(here)
        here.api.on_create = place.created
        try:
            yield Crash(place, folder, fault)
        finally:
            here.api.objects.clear()
            for thread in place.threads:
                thread.join(10)
