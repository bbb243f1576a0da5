"""A process that changes the fleet for the supervisor: the injector, or `blackstart recover`.

It runs in a session of its own, outlived and if need be killed as a whole by
the supervisor, and reports what it does as records on a pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blackstart.evidence.events import EVENTS_FD, HELD
from blackstart.evidence.records import BODY, Activity, Body, FaultEvent, FaultState, Note
from blackstart.run.stop import first_of
from blackstart.safety.sessions import kill_session

_LINE_LIMIT = 1 << 20
_KILLED = 5.0
_LAST_WORDS = 5
"""Lines of its output that are quoted when it failed."""


class Worker:
    """A process, and what it said so far.

    `held` is set when it said that the method is done and the faults are in
    place; `ended` when the process is gone, for whatever reason. `failures`:
    why it makes no sense to go on with the drill.
    """

    def __init__(self, process: asyncio.subprocess.Process, on_event: Callable[[Body], None], log: Path) -> None:
        self.held, self.ended = asyncio.Event(), asyncio.Event()
        self.failures: list[str] = []
        self._process, self._on_event, self._log = process, on_event, log
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        log: Path,
        on_event: Callable[[Body], None],
        job: Mapping[str, Any] | None = None,
        announce: Callable[[int], None] = lambda pid: None,
    ) -> Worker:
        """Start the process; what it prints goes to the file `log`.

        With a job, that is the first line on its standard input, which stays
        open: it ends when this process does. `announce` is told the process
        number before the job is handed over; what it raises ends the process
        and is raised. Raises OSError.
        """
        reading, writing = os.pipe()
        try:
            with log.open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=asyncio.subprocess.DEVNULL if job is None else asyncio.subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    pass_fds=(writing,),
                    env={**os.environ, EVENTS_FD: str(writing)},
                    start_new_session=True,
                )
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        worker = cls(process, on_event, log)
        worker._tasks = [asyncio.create_task(worker._listen(reading)), asyncio.create_task(worker._wait())]
        try:
            announce(process.pid)
        except BaseException:
            await worker.kill()
            raise
        if job is not None:
            worker._say(json.dumps(job))
        return worker

    @property
    def code(self) -> int | None:
        """The exit code; negative for a signal; None while it runs."""
        return self._process.returncode

    def ask_undo(self) -> None:
        """Tell it to put everything back and end; it does so too when this process dies."""
        self._say("undo")
        with contextlib.suppress(OSError, RuntimeError):
            if self._process.stdin:
                self._process.stdin.close()

    async def kill(self) -> None:
        """End it and everything it started, now; a process that the kernel does not let go is not waited for."""
        kill_session(self._process.pid)
        await first_of(_KILLED, self.ended)

    def ending(self) -> str:
        """How it ended, with the last lines that it printed."""
        code = self.code
        how = f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f"{how}; it last said: {' / '.join(lines[-_LAST_WORDS:])}" if lines else how

    def _say(self, line: str) -> None:
        # A process that died is noticed by `ended`, not here.
        with contextlib.suppress(OSError, RuntimeError):
            if self._process.stdin:
                self._process.stdin.write(line.encode() + b"\n")

    async def _wait(self) -> None:
        await self._process.wait()
        # What it said last must be heard before its end is; a grandchild may hold the pipe open.
        await asyncio.wait(self._tasks[:1], timeout=1.0)
        self.ended.set()

    async def _listen(self, fd: int) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LINE_LIMIT)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
        )
        try:
            while line := await reader.readline():
                self._hear(line)
        except ValueError:
            self._on_event(Note(level="error", text="the injector wrote an event that is too long"))
        finally:
            transport.close()

    def _hear(self, line: bytes) -> None:
        if line == HELD:
            self.held.set()
            return
        try:
            body = BODY.validate_json(line)
        except ValidationError:
            self._on_event(Note(level="error", text="the injector wrote something that is no event"))
            return
        if failure := _failure(body):
            self.failures.append(failure)
        self._on_event(body)


def _failure(body: Body) -> str | None:
    """Why the hold makes no sense after this event, if it does not."""
    match body:
        case Activity(section="method", status="failed", injects=True):
            return f"the activity {body.name!r} failed: {body.detail}"
        case FaultEvent(state=FaultState.INEFFECTIVE | FaultState.FAILED):
            return f"the fault {body.fault} ({body.target}) is {body.state}: {body.detail}"
        case _:
            return None
