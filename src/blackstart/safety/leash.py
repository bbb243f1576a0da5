"""The supervisor's side of the watchdog."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from blackstart.safety.protection import Gone
from blackstart.safety.sessions import Identity
from blackstart.safety.watchdog import READY
from blackstart.safety.watched import Job
from blackstart.schema.errors import BlackstartError

_START = 30.0
"""Seconds in which the watchdog must say that it is ready."""

_END = 5.0


class WatchdogError(BlackstartError):
    """The watchdog did not start: nothing may be injected."""


class Leash:
    """A running watchdog. Each renewal is a sign of life; closing this without `release` makes it act."""

    name = "the watchdog"
    region = None

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self._process, self._fd = process, fd
        self._lock = threading.Lock()

    @classmethod
    def start(cls, argv: Sequence[str], job: Job, log: Path) -> Leash:
        """Start it, what it prints in the file `log`, and wait until it is ready. Raises WatchdogError."""
        reading, writing = os.pipe()
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    argv, stdin=reading, stdout=subprocess.PIPE, stderr=output, start_new_session=True
                )
        except OSError as error:
            os.close(writing)
            raise WatchdogError(f"the watchdog cannot be started: {error}; nothing was injected") from error
        finally:
            os.close(reading)
        leash = cls(process, writing)
        # A watchdog that stands still must not make its owner stand still.
        os.set_blocking(writing, False)
        # One that ended at once is found not to be ready.
        with contextlib.suppress(Gone):
            leash._say(job.model_dump_json())
        if not leash._ready():
            leash.kill()
            raise WatchdogError(
                f"the watchdog ended or was not ready within {_START:g} s, see {log}; nothing was injected"
            )
        return leash

    def renew(self) -> None:
        """Show a sign of life. Raises Gone when the watchdog is dead, or has taken this process for dead."""
        self._say("beat")

    def guard(self, pid: int) -> None:
        """Name the process to kill before anything is put back. Raises Gone, ProcessLookupError."""
        self._say(f"child {Identity.of(pid)}")

    def release(self) -> None:
        """All is well: let it end."""
        with contextlib.suppress(Gone):
            self._say("quit")
        self.leave()
        try:
            self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self.kill()

    def leave(self) -> None:
        """Give it no more signs of life: it puts back what is left, while this process goes on or ends."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def kill(self) -> None:
        """End it now."""
        self.leave()
        self._process.kill()
        self._process.wait()

    def _say(self, line: str) -> None:
        # The number of a closed descriptor may be another file's by now.
        with self._lock:
            if self._fd < 0 or self._process.poll() is not None:
                raise Gone("it has ended")
            try:
                os.write(self._fd, line.encode() + b"\n")
            except OSError as error:
                raise Gone(f"it does not listen: {error.strerror}") from error

    def _ready(self) -> bool:
        stdout = self._process.stdout
        if stdout is None:
            return False
        with stdout:
            answered = select.select([stdout], [], [], _START)[0]
            return bool(answered) and os.read(stdout.fileno(), len(READY)) == READY
