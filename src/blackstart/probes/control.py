"""The control probe: proof that a fault bites, and when.

Before the fault it opens a connection over every path that the fault claims to
cut. While the fault is made it asks on that connection again and again, and
opens new ones, both at 100 Hz. A path is cut when neither way gets through any
more, be it refused, reset or unanswered. T0 lies between the last attempt that
got through and the first that never did, so it is known to about 10 ms however
long a time-out takes.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from blackstart.evidence.records import Interval
from blackstart.fleet.model import ControlPath, Fleet, Place
from blackstart.fleet.places import place_of
from blackstart.fleet.sockets import connect
from blackstart.fleet.web import Connection, open_connection, request_of
from blackstart.probes.threads import prefer_this_thread
from blackstart.schema.errors import BlackstartError

INTERVAL = 0.01
"""Seconds between attempts, which is the resolution of T0."""

OPEN_WITHIN = 3.0
"""Seconds within which every path must answer before the fault."""

_PATIENCE = 0.5
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class ControlError(BlackstartError):
    """A path does not answer before the fault, or still does after it."""


@dataclass(frozen=True)
class Effect:
    """When a fault took effect: for each path (`place -> address`), from the first to the last one for all."""

    t0: Interval
    detail: str
    paths: dict[str, Interval]


@dataclass
class Track:
    """What one way of using a path has shown. Times are those of sending, seconds of the monotonic clock."""

    name: str
    good: float = 0.0
    """The last attempt that got through."""
    took: float = 0.0
    """Seconds until its answer."""
    error: str = ""
    """What the first attempt after that one met; empty while it only has no answer."""
    waiting: deque[float] = field(default_factory=deque)
    """Attempts after that one; failed or still without an answer makes no difference."""

    def sent(self, at: float) -> None:
        """An attempt begins."""
        self.waiting.append(at)

    def answered(self, at: float, took: float) -> None:
        """The attempt of `at` got through: whatever was lost before it was not the fault."""
        if at >= self.good:
            self.good, self.took, self.error = at, took, ""
        while self.waiting and self.waiting[0] <= self.good:
            self.waiting.popleft()

    def failed(self, error: BaseException) -> None:
        """An attempt met an error."""
        self.error = self.error or _reason(error)

    def silent(self, now: float) -> float:
        """Seconds since the first attempt of those that did not get through; 0 while none."""
        return now - self.waiting[0] if self.waiting else 0.0

    @property
    def cut(self) -> Interval:
        """When it stopped getting through; only for one that has.

        An attempt is lost when the path is cut before its answer is back, so
        the time of an answer belongs to the interval.
        """
        return Interval(earliest=self.good, latest=self.waiting[0] + self.took)


class ControlProbe:
    """Watches paths from the beginning of its `with` block to the end, in a thread of its own.

    Entering raises ControlError when a path does not answer, or an address is
    no IP address; the fault must not be made then.
    """

    def __init__(self, fleet: Fleet, paths: Sequence[ControlPath]) -> None:
        self._watches = [_Watch(path, place_of(fleet, path)) for path in paths]
        self._watching: Future[None] | None = None

    def __enter__(self) -> ControlProbe:
        if not self._watches:
            raise ControlError("no control path: nothing could prove that the fault bites")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="control-probe", daemon=True)
        self._thread.start()
        try:
            self._submit(self._open()).result()
        except BaseException:
            self._close()
            raise
        self._watching = self._submit(self._watch())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._close()

    def wait_effective(self, within: float, apply_started: float | None = None) -> Effect:
        """Wait until every path is cut, both ways, and stayed so for a moment. Raises ControlError.

        `apply_started`: when the fault began to be made; T0 is not before it,
        and a path that was lost before it proves nothing.
        """
        assert self._watching is not None, "enter the `with` block first"  # noqa: S101 - a mistake of the caller
        if self._watching.done():
            self._watching.result()
        return self._submit(self._effective(within, apply_started)).result()

    def _run(self) -> None:
        prefer_this_thread()
        self._loop.run_forever()

    def _submit[T](self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _open(self) -> None:
        failures = await asyncio.gather(*(watch.open() for watch in self._watches))
        if void := [failure for failure in failures if failure]:
            raise ControlError(f"{'; '.join(void)}; a path must answer before the fault, or it proves nothing")

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(watch.ask())
                group.create_task(watch.reconnect())

    async def _effective(self, within: float, apply_started: float | None) -> Effect:
        ends = time.monotonic() + within
        looks = 0
        # Twice: after a stall of this process, answers that had come may not have been read at the first look.
        while looks < 2:
            alive = [f"{watch.name} ({track.name})" for watch in self._watches for track in watch.alive()]
            looks = 0 if alive else looks + 1
            if alive and time.monotonic() >= ends:
                raise ControlError(f"after {within:g} s still working: {', '.join(alive)}")
            await asyncio.sleep(INTERVAL)
        return effect({watch.name: watch.tracks for watch in self._watches}, apply_started)

    async def _stop(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for watch in self._watches:
            watch.close()

    def _close(self) -> None:
        self._submit(self._stop()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def effect(paths: dict[str, Sequence[Track]], apply_started: float | None) -> Effect:
    """When all paths were cut, from tracks that are all silent. Raises ControlError."""
    started = apply_started or 0.0
    cuts: dict[str, Interval] = {}
    for name, tracks in paths.items():
        for track in tracks:
            if track.cut.latest < started - _PATIENCE:
                early = started - track.cut.latest
                raise ControlError(f"{name} ({track.name}) stopped answering {early:.1f} s before the fault")
        earliest = max(started, *(track.cut.earliest for track in tracks))
        cuts[name] = Interval(earliest=earliest, latest=max(earliest, *(track.cut.latest for track in tracks)))
    t0 = Interval(earliest=min(c.earliest for c in cuts.values()), latest=max(c.latest for c in cuts.values()))
    return Effect(t0, "; ".join(_told(name, paths[name], cut, t0) for name, cut in cuts.items()), cuts)


def _told(name: str, tracks: Sequence[Track], cut: Interval, t0: Interval) -> str:
    ways = ", ".join(f"{track.name}: {track.error or 'no answer'}" for track in tracks)
    first, last = (1000 * (t - t0.earliest) for t in (cut.earliest, cut.latest))
    return f"{name} cut {first:.0f} to {last:.0f} ms after T0's earliest moment ({ways})"


class _Watch:
    """One path under watch: its established connection, and ever new ones."""

    def __init__(self, path: ControlPath, place: Place) -> None:
        self._path = path
        self._place = place
        self._patience = _PATIENCE
        self._connection: Connection | None = None
        self._established = Track("established")
        self._fresh = Track("fresh")
        self.name = f"{path.place} -> {path.address}"
        self.tracks = (self._established, self._fresh)

    def alive(self) -> list[Track]:
        """The ways that still get through, or did until just now."""
        now = time.monotonic()
        return [track for track in self.tracks if track.silent(now) < self._patience]

    async def open(self) -> str | None:
        """Establish the connection and see that it stays open; returns what is wrong."""
        try:
            async with asyncio.timeout(OPEN_WITHIN):
                await self._connect_once()
                for _ in range(2):
                    started = time.monotonic()
                    await self._ask_once()
                    self._established.answered(started, time.monotonic() - started)
        except (OSError, ValueError) as error:
            return f"{self.name}{self._path.get}: {_reason(error)}"
        self._patience = max(_PATIENCE, 4 * max(track.took for track in self.tracks))
        return None

    async def ask(self) -> None:
        """Ask on the established connection, the next time when the last is answered.

        One that the server closed is opened again: servers limit how long a
        connection lives. One that is silent is left open, to see if it stays so.
        """
        while True:
            at = time.monotonic()
            self._established.sent(at)
            try:
                await self._ask_once()
                self._established.answered(at, time.monotonic() - at)
            except (OSError, ValueError) as error:
                self._established.failed(error)
                self.close()
            await asyncio.sleep(max(0.0, at + INTERVAL - time.monotonic()))

    async def reconnect(self) -> None:
        """Open a new connection every INTERVAL, however long the others take."""
        start, k = time.monotonic(), 0
        async with asyncio.TaskGroup() as in_flight:
            while True:
                in_flight.create_task(self._reconnect_once())
                k += 1
                await asyncio.sleep(max(0.0, start + k * INTERVAL - time.monotonic()))

    def close(self) -> None:
        """Close the established connection."""
        if self._connection:
            self._connection.close()
        self._connection = None

    async def _reconnect_once(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._connect_once()
        except OSError as error:
            self._fresh.failed(error)

    async def _connect_once(self) -> None:
        at = time.monotonic()
        self._fresh.sent(at)
        sock = await connect(self._place, self._path.address)
        self._fresh.answered(at, time.monotonic() - at)
        # A hundred a second would leave the ports of this side in TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        sock.close()

    async def _ask_once(self) -> None:
        scheme = "https" if self._path.tls else "http"
        request = request_of(f"{scheme}://{self._path.address}{self._path.get}")
        if self._connection is None:
            async with asyncio.timeout(self._patience):
                self._connection = await open_connection(self._place, request.endpoint, trusting=True)
        if not (await self._connection.ask(request)).keep:
            raise ValueError("the server does not keep connections open")


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    # Not strerror: asyncio writes its own words there.
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
