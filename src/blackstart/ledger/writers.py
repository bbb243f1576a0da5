"""The ledger's writers: each has one write in flight, never sends one twice, and goes on through an outage.

They live in a process of their own (`python -m blackstart.ledger.writers`), so
that they do not disturb the clients that measure. The first line on standard
input is the Job as JSON; then `pause`, `resume` and `stop`, a word a line. The
end of the input, as when the one who started it dies, means `stop`. What it
prints are records of the evidence (Writes), one a second and one at each
change of state.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from blackstart.evidence.written import Writes
from blackstart.fleet.model import Place
from blackstart.fleet.web import Session, check_host
from blackstart.ledger import ids
from blackstart.ledger.book import Book, BookError
from blackstart.ledger.post import send

SUMMARY = 1.0
"""Seconds between two summaries."""

_LOOK = 0.05

State = Literal["running", "paused", "stopped"]


class Job(BaseModel):
    """What is written, by how many, and where that is kept.

    run: a short one, see ids. urls: by region, or one without; writer k comes
    in at the k-th of them, beginning anew after the last. interval: seconds of rest of a writer after each
    outcome. timeout: seconds after which a write is indeterminate.
    """

    service: str
    run: str
    urls: dict[str, str]
    place: Place
    writers: int
    interval: float
    timeout: float
    path: Path


class Writers:
    """All writers on one event loop. `emit` hears of the summaries, in that loop."""

    def __init__(self, job: Job, emit: Callable[[Writes], None]) -> None:
        for url in job.urls.values():
            check_host(url, job.place)
        self._job, self._emit = job, emit
        self._counts: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()
        self._going = asyncio.Event()
        self._going.set()
        self._stopping = asyncio.Event()
        self._busy = 0
        self._told = 0.0

    async def run(self) -> None:
        """Write until stopped, then wait for what is in flight. Raises BookError when the disk does not take it."""
        book = Book(self._job.path, self._job.run)
        try:
            async with Session(self._job.place, keep=False) as session, asyncio.TaskGroup() as group:
                ticker = group.create_task(self._tick(book))
                async with asyncio.TaskGroup() as writers:
                    for number in range(self._job.writers):
                        writers.create_task(self._write(number, book, session))
                ticker.cancel()
            await book.flush()
            self._summarise(book, "stopped")
        finally:
            book.close()

    async def obey(self, orders: AsyncIterator[str]) -> None:
        """Do as told, word by word, until there are no more; then stop."""
        async for order in orders:
            if order == "pause":
                self._going.clear()
            elif order == "resume":
                self._going.set()
            elif order == "stop":
                break
        self._stopping.set()
        self._going.set()

    async def _write(self, writer: int, book: Book, session: Session) -> None:
        job = self._job
        # Spread over the interval, out of each other's way.
        await asyncio.sleep(job.interval * writer / job.writers)
        number = 0
        entry = list(job.urls)[writer % len(job.urls)]
        while True:
            await self._going.wait()
            if self._stopping.is_set():
                return
            number += 1
            write = ids.make(job.run, writer, number)
            self._busy += 1
            try:
                await book.intend(write, time.monotonic())
                self._counts["sent"] += 1
                outcome = await send(session, job.urls[entry], write, job.timeout)
                book.outcome(write, outcome)
                self._counts[outcome.result] += 1
                self._taken[entry] += outcome.result == "ok"
            finally:
                self._busy -= 1
            await self._rest()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), self._job.interval)

    async def _tick(self, book: Book) -> None:
        state: State = "running"
        while True:
            await asyncio.sleep(_LOOK)
            before, state = state, "paused" if not self._going.is_set() and not self._busy else "running"
            if state == "paused" != before:
                await book.flush()
            if state != before or time.monotonic() - self._told >= SUMMARY:
                self._summarise(book, state)

    def _summarise(self, book: Book, state: State) -> None:
        counts, self._counts, self._told = self._counts, Counter(), time.monotonic()
        taken, self._taken = self._taken, Counter()
        self._emit(
            Writes(
                service=self._job.service,
                state=state,
                sent=counts["sent"],
                ok=counts["ok"],
                failed=counts["failed"],
                indeterminate=counts["indeterminate"],
                lines=book.seal.lines,
                digest=book.seal.digest,
                taken={entry: taken[entry] for entry in self._job.urls if entry},
            )
        )


async def _orders(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    while line := await reader.readline():
        yield line.decode(errors="replace").strip()


async def _serve() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    work = Writers(Job.model_validate_json(await reader.readline()), _print)
    orders = asyncio.create_task(work.obey(_orders(reader)))
    await work.run()
    orders.cancel()


def _print(record: Writes) -> None:
    print(record.model_dump_json(), flush=True)


def main() -> int:
    """Run as a process; exit code 1 when the ledger could not be written."""
    # Ctrl-C is for the one who started it, who says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(_serve())
    except* (BookError, ValueError, BrokenPipeError) as errors:
        failed = "; ".join(map(str, errors.exceptions))
    else:
        return 0
    print(failed, file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
