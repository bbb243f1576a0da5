"""The open-loop client: samples at a fixed rate, whatever the target does.

Sample k of a stream is due at start + k * interval and its latency counts
from then. Every due sample is recorded exactly once: when this process lags,
the late ones are sent late and their latency says so; those in flight at the
end are waited for. Nothing is sent twice.

`fresh` opens a connection for each sample. `kept` takes an idle connection of
its pool, or opens one when all are in use; a connection that failed or timed
out is thrown away, as a client's pool would.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field

from blackstart.evidence.records import Reason, Samples, Stream
from blackstart.fleet import web
from blackstart.fleet.headers import Pairs, revealed
from blackstart.fleet.model import Entry, Place
from blackstart.probes.errors import why
from blackstart.probes.threads import prefer_this_thread

FLUSH = 0.25
"""Seconds between batches."""

_BATCH = 1.0


@dataclass(frozen=True)
class Target:
    """A stream and how to reach what it asks."""

    stream: Stream
    entry: Entry
    place: Place


@dataclass(frozen=True)
class Row:
    """One sample; the fields are those of Samples."""

    due: float
    latency: float
    region: str | None
    error: str | None


Emit = Callable[[Samples], None]
Lateness = Callable[[float], None]


def _ignore(_: float) -> None:
    pass


@contextmanager
def sampling(targets: Sequence[Target], emit: Emit, lateness: Lateness = _ignore) -> Iterator[None]:
    """Sample in a thread of its own while the block runs; on leaving it, wait for what is in flight.

    `emit` and `lateness` are called in that thread. Raises ValueError for a
    target that cannot be reached from its place, SecretError for headers that
    cannot be read, and on leaving whatever ended the sampling early.
    """
    sampler = Sampler(targets, emit, lateness)
    failure: list[BaseException] = []

    def run() -> None:
        try:
            prefer_this_thread()
            asyncio.run(sampler.run())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failure.append(error)

    thread = threading.Thread(target=run, name="sampler", daemon=True)
    thread.start()
    try:
        yield
    finally:
        sampler.stop()
        thread.join()
    if failure:
        raise failure[0]


class Sampler:
    """All streams on one event loop.

    `lateness` hears of every sample how many seconds after its time it was
    sent: the observer's own error.
    """

    def __init__(self, targets: Sequence[Target], emit: Emit, lateness: Lateness = _ignore) -> None:
        for target in targets:
            web.check_host(target.entry.url, target.place)
        self._targets = [(target, revealed(target.entry.headers)) for target in targets]
        self._emit = emit
        self._lateness = lateness
        self._stop_at = math.inf

    def stop(self) -> None:
        """No sample due from now on is sent; `run` returns when the others have ended. Any thread may call it."""
        self._stop_at = min(self._stop_at, time.monotonic())

    async def run(self) -> None:
        """Sample until stopped. The streams start spread over their interval, out of each other's way."""
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        lanes = [_Lane(target, self._lateness, headers) for target, headers in self._targets]
        try:
            async with AsyncExitStack() as stack, asyncio.TaskGroup() as helpers:
                clients = [await stack.enter_async_context(lane.session()) for lane in lanes]
                flusher = helpers.create_task(self._flush(lanes))
                start = time.monotonic()
                async with asyncio.TaskGroup() as group:
                    for i, (lane, client) in enumerate(zip(lanes, clients, strict=True)):
                        first = start + lane.target.stream.interval * i / len(lanes)
                        group.create_task(lane.run(client, first, lambda: self._stop_at))
                flusher.cancel()
        finally:
            self._drain(lanes)

    async def _flush(self, lanes: Sequence[_Lane]) -> None:
        while True:
            await asyncio.sleep(FLUSH)
            self._drain(lanes)

    def _drain(self, lanes: Sequence[_Lane]) -> None:
        for lane in lanes:
            rows, lane.rows = lane.rows, []
            for batch in batches(lane.target.stream.name, rows):
                self._emit(batch)


@dataclass
class _Lane:
    """One stream at work: its schedule, its samples in flight, and the rows not yet emitted."""

    target: Target
    lateness: Lateness
    headers: Pairs = field(repr=False)
    rows: list[Row] = field(default_factory=list)

    def session(self) -> web.Session:
        return web.Session(self.target.place, keep=self.target.stream.connection == "kept")

    async def run(self, client: web.Session, start: float, stop_at: Callable[[], float]) -> None:
        stream = self.target.stream
        # A target that never answers has timeout / interval samples in flight; the rest is for catching up.
        slots = asyncio.Semaphore(2 * math.ceil(stream.timeout / stream.interval) + 8)
        k = 0
        async with asyncio.TaskGroup() as in_flight:
            while (due := start + k * stream.interval) < stop_at():
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                    if due >= stop_at():
                        break
                await slots.acquire()
                in_flight.create_task(self._sample(client, due, slots))
                k += 1

    async def _sample(self, client: web.Session, due: float, slots: asyncio.Semaphore) -> None:
        self.lateness(time.monotonic() - due)
        region: str | None = None
        error: str | None = None
        try:
            async with asyncio.timeout(self.target.stream.timeout):
                answer = await client.get(self.target.entry.url, self.headers)
            if answer.good:
                region = served_by(answer.body, self.target.entry.region_key)
                error = None if region else Reason.MALFORMED
            else:
                error = str(answer.status)
        except (web.BadAnswer, OSError) as failure:
            error = why(failure)
        finally:
            slots.release()
        self.rows.append(Row(due, time.monotonic() - due, region, error))


def served_by(body: bytes, key: str) -> str | None:
    """Who answered, by the text at `key` of a JSON object; None when the body is anything else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    region = document.get(key) if isinstance(document, dict) else None
    return region if isinstance(region, str) and region else None


def batches(stream: str, rows: Sequence[Row]) -> list[Samples]:
    """The rows as columns, in the order of their due times, no batch longer than a second."""
    groups: list[list[Row]] = []
    for row in sorted(rows, key=lambda r: r.due):
        if not groups or row.due - groups[-1][0].due > _BATCH:
            groups.append([])
        groups[-1].append(row)
    return [
        Samples(
            stream=stream,
            due=[r.due for r in group],
            latency=[r.latency for r in group],
            ok=[r.error is None for r in group],
            region=[r.region for r in group],
            error=[r.error for r in group],
        )
        for group in groups
    ]
