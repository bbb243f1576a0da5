"""Processes and their sessions, from /proc: who is who, and ending a whole session."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from blackstart.schema.base import Model


class Identity(Model):
    """One process for all time: its number may be used again, not with the same start (clock ticks since boot)."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> Identity:
        """The process that has the number now. Raises ProcessLookupError."""
        try:
            return cls(pid=pid, start=int(_stat(pid)[_START]))
        except (OSError, IndexError) as error:
            raise ProcessLookupError(pid) from error

    @classmethod
    def parse(cls, text: str) -> Identity:
        """From `PID START`."""
        pid, start = text.split()
        return cls(pid=int(pid), start=int(start))

    @property
    def replaced(self) -> bool:
        """Whether another process has its number now: then its session has no members left either."""
        try:
            return Identity.of(self.pid) != self
        except ProcessLookupError:
            return False

    def __str__(self) -> str:
        return f"{self.pid} {self.start}"


# After the name in brackets: state, parent, group, session, ...
_STATE, _SESSION, _START = 0, 3, 19


def kill_session(leader: int) -> None:
    """Kill every process of the session that `leader` began, the leader too if it still runs."""
    for pid in session_members(leader):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def session_members(leader: int) -> list[int]:
    """The processes of a session that still run."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # The process may end while it is looked at.
            with contextlib.suppress(OSError, IndexError):
                fields = _stat(int(entry.name))
                if int(fields[_SESSION]) == leader and fields[_STATE] not in "ZX":
                    members.append(int(entry.name))
    return members


def _stat(pid: int) -> list[str]:
    return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
