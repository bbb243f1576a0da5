"""What comes in while a run goes on, and the waiting that hears it: samples, readings, guards, reasons to stop."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from blackstart.evidence.reader import EVIDENCE
from blackstart.evidence.records import Body, FaultEvent, FaultState, Note, Reading, Samples, Stream
from blackstart.evidence.written import Writes
from blackstart.plan.resolve import Plan
from blackstart.run.guards import Guards
from blackstart.run.log import Log
from blackstart.run.recorder import Recorder
from blackstart.run.stop import Stop, first_of
from blackstart.run.watch import GRACE, Watch

TICK = 0.25
"""Seconds between two looks at the guards."""


class Vigil:
    """Writes the evidence of one run, hears all of it, and asks to stop when something says so.

    Make it inside a running event loop. Raises EvidenceError when the
    evidence file in `folder` cannot be created.
    """

    def __init__(self, plan: Plan, streams: Iterable[Stream], folder: Path) -> None:
        self._plan = plan
        steady, client = plan.drill.steady, plan.drill.client
        self.stop = Stop()
        self.recorder = Recorder(folder / EVIDENCE, self._evidence_failed)
        self.log = Log(self.recorder, self._listener_failed)
        self.watch = Watch(streams, client.slow, steady.window + client.timeout + 2 * GRACE)
        self.crash: str | None = None
        """The traceback of what failed in this process."""
        self.back: set[str] = set()
        """Faults that were told to be put back."""
        self.writes: Writes | None = None
        """What the ledger's writers did last."""
        self._guards: Guards | None = None
        self._undoing = False
        self.log.listen(self._see)

    def guard(self) -> None:
        """The guards watch from now on."""
        plan = self._plan
        streams = self.watch.streams.values()
        self._guards = Guards(plan.drill.guards, streams, plan.survivors, plan.victims, time.monotonic())

    def undoing(self) -> None:
        """Guards have had their say, and what protects the run may go."""
        self._guards = None
        self._undoing = True

    async def wait(self, seconds: float, *events: Any) -> None:
        """Wait, with an eye on the guards, until the time is over, an event is set or the run must stop."""
        end = time.monotonic() + seconds
        while not self.stop and not any(event.is_set() for event in events) and time.monotonic() < end:
            await first_of(min(TICK, end - time.monotonic()), self.stop, *events)
            self._check_guards()

    async def do(self, work: Coroutine[Any, Any, None], seconds: float) -> None:
        """Do something on the side while waiting; it is given up when the time is over or the run must stop."""
        task, done = asyncio.create_task(work), asyncio.Event()
        task.add_done_callback(lambda _: done.set())
        await self.wait(seconds, done)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def note(self, level: Literal["info", "warning", "error"], text: str) -> None:
        """Write down something that people should know."""
        self.log(Note(level=level, text=text))

    def failed(self, error: Exception) -> str:
        """Keep the traceback of an error of this process; what to say of it."""
        self.crash = "".join(traceback.format_exception(error))
        return f"the supervisor failed: {type(error).__name__}: {error}"

    def lost(self, reason: str) -> None:
        """Something that protects the run is gone: that ends the drill, unless it is being undone."""
        if self._undoing:
            self.note("warning", reason)
        else:
            self.stop.ask("aborted", reason)

    def _see(self, now: float, body: Body) -> None:
        match body:
            case FaultEvent(state=FaultState.CONFIRMED_REVERTED):
                self.back.add(body.fault)
            case Writes():
                self.writes = body
            case Samples():
                self.watch.see(body)
                if self._guards:
                    self._guards.see_samples(body, now)
            case Reading() if self._guards:
                self._guards.see_reading(body, now)

    def _evidence_failed(self, reason: str) -> None:
        self.stop.ask("interrupted", reason)
        self.note("error", reason)

    def _listener_failed(self, error: Exception) -> None:
        if self.crash is None:
            self.stop.ask("aborted", self.failed(error))

    def _check_guards(self) -> None:
        if self._guards and not self.stop and (found := self._guards.tripped(time.monotonic())):
            self.log(found)
            self.stop.ask("aborted", f"guard {found.guard}: {found.detail}")
