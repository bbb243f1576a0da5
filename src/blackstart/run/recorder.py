"""Keeps disk writes off the event loop: a thread that feeds the evidence writer."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from blackstart.evidence.records import Body
from blackstart.evidence.writer import EvidenceError, Writer

_FULL = 10_000
"""Records that may wait for a slow disk before the evidence counts as broken."""

_Item = tuple[float, Body] | asyncio.Event | None
"""A record with its time, an event to set once all before it is on the disk, or the end."""


class Recorder:
    """Writes records in order, in a thread of its own; `write` never blocks and never raises.

    The first failure goes to `on_failure` (called in the event loop, with the
    reason); everything after it is dropped, for the chain is broken.
    Make it inside a running event loop.
    """

    def __init__(self, path: Path, on_failure: Callable[[str], None]) -> None:
        self._writer = Writer(path)
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure
        self._queue: queue.Queue[_Item] = queue.Queue(_FULL)
        self._failed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="evidence", daemon=True)
        self._thread.start()

    @property
    def broken(self) -> bool:
        """Whether a record could not be written."""
        return self._failed.is_set()

    def write(self, body: Body) -> None:
        """Record that this happened now."""
        self._put((time.monotonic(), body))

    async def flush(self, deadline: float) -> bool:
        """Wait until everything so far is on the disk; False after `deadline` seconds or a failure."""
        done = asyncio.Event()
        self._put(done)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), deadline)
        return done.is_set() and not self.broken

    async def close(self, deadline: float = 10.0) -> None:
        """Write what waits, for at most `deadline` seconds, and close the file."""
        await self.flush(deadline)
        self._put(None)

    def _put(self, item: _Item) -> None:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self._fail(f"evidence cannot be written: {_FULL} records wait for the disk")

    def _work(self) -> None:
        with self._writer:
            while (item := self._queue.get()) is not None:
                try:
                    self._handle(item)
                except EvidenceError as error:
                    self._fail(str(error))

    def _handle(self, item: tuple[float, Body] | asyncio.Event) -> None:
        if isinstance(item, asyncio.Event):
            if not self.broken:
                self._writer.sync()
            self._tell(item.set)
        elif not self.broken:
            self._writer.write(item[1], item[0])

    def _fail(self, reason: str) -> None:
        if not self._failed.is_set():
            self._failed.set()
            self._tell(lambda: self._on_failure(reason))

    def _tell(self, call: Callable[[], None]) -> None:
        # A disk that answers after the deadline of the end finds nobody to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call)
