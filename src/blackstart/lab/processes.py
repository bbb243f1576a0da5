"""The lab's own processes: started detached, found again by pid and start time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blackstart.fleet.model import Place
from blackstart.fleet.places import inside
from blackstart.lab.cgroups import Group
from blackstart.lab.shell import wait_for
from blackstart.lab.topology import Member

# Joins its control groups, then becomes the command: no child of the command is ever outside.
_JOIN = 'n=$1; shift; while [ $n -gt 0 ]; do echo 0 >"$1" || exit 1; shift; n=$((n-1)); done; exec "$@"'

# Threads start parts of one member at the same time; commands keep each other off by a lock of their own.
_RECORDING = threading.Lock()


@dataclass(frozen=True)
class Part:
    """One process of a member: its name and command line."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Started:
    """A process that was started; `start` (clock ticks since boot) tells it from a later one with its pid."""

    pid: int
    start: int

    def alive(self) -> bool:
        """Whether that process still runs."""
        return start_time(self.pid) == self.start


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which `pid` started; None when it does not run (any more)."""
    state, *fields = _stat(pid)
    return None if state in "ZX" else int(fields[18])


def _state(pid: int) -> str:
    """The state of a process in the kernel's one letter; X when there is none."""
    return _stat(pid)[0]


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X"]


def recorded(file: Path) -> dict[str, Started]:
    """The processes of a record, dead or alive."""
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    return {name: Started(**fields) for name, fields in found.items()}


class Processes:
    """The processes of one member. Their record is `pids.json` in the member's folder, their output in `logs`."""

    def __init__(self, member: Member, folder: Path, group: Group) -> None:
        self._member = member
        self._folder = folder
        self._group = group
        self.logs = folder / "logs"

    def start(self, part: Part) -> Started:
        """Start a part inside the member's namespace and control group, in a session of its own."""
        self.logs.mkdir(parents=True, exist_ok=True)
        argv = self.joined(part)
        with (self.logs / f"{part.name}.log").open("ab") as log, inside(Place(netns=self._member.netns)):
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": "/root", **(part.env or {})},
                cwd="/",
                start_new_session=True,
            )
        process.returncode = 0  # it outlives us: nobody here waits for it
        started = Started(process.pid, start_time(process.pid) or 0)
        with _RECORDING:
            self._record({**self.all(), part.name: started})
        return started

    def joined(self, part: Part) -> list[str]:
        """A command line that joins the member's control group first: what ends the lab ends it, too."""
        procs = [str(f) for f in self._group.procs_files]
        return ["/bin/sh", "-c", _JOIN, part.name, str(len(procs)), *procs, *part.argv]

    def all(self) -> dict[str, Started]:
        """Everything started so far, dead or alive."""
        return recorded(self._folder / "pids.json")

    def forget(self, part: str | None = None) -> None:
        """A part is dead on purpose, or everything is."""
        with _RECORDING:
            self._record({name: p for name, p in self.all().items() if part is not None and name != part})

    def kill(self, part: str, timeout: float = 10.0) -> None:
        """End one part and forget it; nothing happens when it does not run. Raises LabError."""
        process = self.all().get(part)
        if process is not None and process.alive():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            wait_for(f"the end of {part}", lambda: None if process.alive() else True, timeout, every=0.005)
        self.forget(part)

    def freeze(self, part: str, timeout: float = 10.0) -> None:
        """Let one part stand still; nothing happens when it does not run. Raises LabError."""
        self._signal(part, signal.SIGSTOP)
        wait_for(f"{part} stands still", lambda: self._frozen_or_gone(part) or None, timeout, every=0.002)

    def thaw(self, part: str) -> None:
        """Let one part go on; nothing happens when it does not run."""
        self._signal(part, signal.SIGCONT)

    def frozen(self, part: str) -> bool:
        """Whether one part stands still by a signal; that its control group is frozen does not show here."""
        process = self.all().get(part)
        return process is not None and process.alive() and _state(process.pid) == "T"

    def _frozen_or_gone(self, part: str) -> bool:
        process = self.all().get(part)
        return process is None or not process.alive() or self.frozen(part)

    def _signal(self, part: str, number: signal.Signals) -> None:
        process = self.all().get(part)
        if process is not None and process.alive():
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    def log_tail(self, part: str, lines: int = 15) -> str:
        """The last lines that a part wrote."""
        try:
            text = (self.logs / f"{part}.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _record(self, processes: dict[str, Started]) -> None:
        path = self._folder / "pids.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps({name: vars(p) for name, p in processes.items()}))
        os.replace(new, path)
