"""The process of the ledger's writers, as the supervisor holds it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from blackstart.evidence.records import Note
from blackstart.evidence.written import Writes
from blackstart.ledger import writers
from blackstart.ledger.book import Seal
from blackstart.ledger.writers import Job, State
from blackstart.run.stop import first_of
from blackstart.schema.errors import BlackstartError

MARGIN = 10.0
"""Seconds beyond a write's timeout in which the writers must have come to rest."""


class RestlessError(BlackstartError):
    """The writers did not come to rest, or are gone."""


class Pen:
    """Writers at work. `counts`: outcomes so far; `seals`: what they said of their file.

    `up`: they have begun; `ended`: they are gone.
    """

    def __init__(self, process: asyncio.subprocess.Process, job: Job, emit: Callable[[Writes | Note], None]) -> None:
        self.counts: Counter[str] = Counter()
        self.seals: list[Seal] = []
        self.up, self.ended = asyncio.Event(), asyncio.Event()
        self._process, self._job, self._emit = process, job, emit
        self._states: dict[State, asyncio.Event] = {"paused": asyncio.Event(), "stopped": asyncio.Event()}
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, job: Job, log: Path, emit: Callable[[Writes | Note], None]) -> Pen:
        """Start to write; what the process complains of goes to the file `log`. Raises OSError."""
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                writers.__name__,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        pen = cls(process, job, emit)
        pen._say(job.model_dump_json())
        # What does not begin is for the baseline to tell.
        await first_of(MARGIN, pen.up, pen.ended)
        return pen

    @property
    def stopped(self) -> bool:
        """Whether they ended when told to, with everything on the disk."""
        return self._states["stopped"].is_set()

    async def pause(self) -> None:
        """Return when nothing is in flight and everything is on the disk. Raises RestlessError."""
        self._states["paused"].clear()
        await self._reach("paused", "pause")

    def resume(self) -> None:
        """Go on writing after a pause."""
        self._say("resume")

    async def stop(self) -> None:
        """The same as a pause, for good. Raises RestlessError."""
        if not self.stopped:
            await self._reach("stopped", "stop")

    async def close(self) -> None:
        """End the process, whatever it does."""
        with contextlib.suppress(RestlessError):
            await self.stop()
        if self._process.returncode is None and not self.stopped:
            self._process.kill()
        await first_of(MARGIN, self.ended)
        self._listening.cancel()

    async def _reach(self, state: State, order: str) -> None:
        self._say(order)
        patience = self._job.timeout + MARGIN
        await first_of(patience, self._states[state], self.ended)
        if not self._states[state].is_set():
            why = "they are gone" if self.ended.is_set() else f"not within {patience:g} s"
            raise RestlessError(f"the ledger's writers did not come to rest: {why}")

    def _say(self, line: str) -> None:
        # A process that died is noticed by `ended`, not here.
        with contextlib.suppress(OSError, RuntimeError):
            if self._process.stdin:
                self._process.stdin.write(line.encode() + b"\n")

    async def _listen(self) -> None:
        stdout = self._process.stdout
        while stdout and (line := await stdout.readline()):
            try:
                self._hear(Writes.model_validate_json(line))
            except ValidationError:
                self._emit(Note(level="error", text="the ledger's writers said something that is no record"))
        code = await self._process.wait()
        self.ended.set()
        if not self.stopped:
            self._emit(Note(level="error", text=f"the ledger's writers ended by themselves (exit code {code})"))

    def _hear(self, record: Writes) -> None:
        self.counts.update(sent=record.sent, ok=record.ok, failed=record.failed, indeterminate=record.indeterminate)
        self.seals.append(Seal(record.lines, record.digest))
        self._emit(record)
        self.up.set()
        if event := self._states.get(record.state):
            event.set()
