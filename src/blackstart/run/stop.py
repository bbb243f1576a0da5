"""Why a run must end early, and the signals that say so."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Set once, by the first who asks; later ones do not change the reason."""

    def __init__(self) -> None:
        self.how: Literal["aborted", "interrupted"] | None = None
        self.detail = ""
        self._asked = asyncio.Event()

    def __bool__(self) -> bool:
        return self.how is not None

    def ask(self, how: Literal["aborted", "interrupted"], detail: str) -> bool:
        """End the run; False when it is ending already."""
        if self:
            return False
        self.how, self.detail = how, detail
        self._asked.set()
        return True

    async def wait(self) -> None:
        """Return as soon as the run must end."""
        await self._asked.wait()


@contextmanager
def on_signals(handle: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `handle` in the event loop for each of SIGNALS, in place of dying."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, handle, number)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


async def first_of(seconds: float, *events: asyncio.Event | Stop) -> None:
    """Return when any of the events is set, or after `seconds`."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
