"""Threads: for blocking clients under a deadline, and for measuring on time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from blackstart.fleet.model import Place
from blackstart.fleet.places import inside

_NICE = -10


async def in_thread[T](work: Callable[[], T], place: Place | None = None) -> T:
    """What `work` returns or raises, run in a thread of its own inside `place`.

    A caller that gives up leaves the thread behind, so `work` needs time
    limits too. The thread is not one of a pool: those that hang would use it
    up, and the interpreter would wait for them at its end.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(set_outcome: Callable[[], None]) -> None:
        if not outcome.done():
            set_outcome()

    def run() -> None:
        try:
            with inside(place or Place()):
                result = work()
        except BaseException as error:  # noqa: BLE001 - handed on to the one who waits
            failure = error
            deliver = lambda: outcome.set_exception(failure)  # noqa: E731 - two small closures, one use
        else:
            deliver = lambda: outcome.set_result(result)  # noqa: E731 - as above
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, deliver)

    threading.Thread(target=run, name="probe", daemon=True).start()
    return await outcome


def prefer_this_thread() -> None:
    """Have the calling thread run before others, so that a busy machine is not measured in place of the target.

    Takes root (CAP_SYS_NICE); without it nothing changes.
    """
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
