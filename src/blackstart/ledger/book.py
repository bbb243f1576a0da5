"""ledger.ndjson: what each write meant to do, on the disk before it is sent, and what came of it.

One JSON object a line: first {"ledger": run}, then {"intent": id, "t": ..} and
{"outcome": id, "result": .., "sent": .., "answered": .., "by": .., "why": ..}. Times are seconds of
this machine's monotonic clock. A *seal* is the number of lines and the SHA-256
of all of them; seals go into the evidence, so that a cut or an edit of the
file is found out.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from blackstart.schema.errors import BlackstartError

LEDGER = "ledger.ndjson"
Result = Literal["ok", "failed", "indeterminate"]


class BookError(BlackstartError):
    """The ledger cannot be written: nothing more may be sent."""


class Seal(NamedTuple):
    """How many lines the file had on the disk at a time, and the SHA-256 (hex) of all of them."""

    lines: int
    digest: str


class Outcome(NamedTuple):
    """What came of a write: `ok`, `failed` (surely not written) or `indeterminate`.

    `sent`, `answered`: monotonic seconds; `by`: who answered; `why`: the reason
    when it is not ok.
    """

    result: Result
    sent: float
    answered: float
    by: str = ""
    why: str = ""


class Book:
    """Writes the file from one event loop; the disk is waited for in a thread, once for all that wait at a time.

    Make it inside a running loop. Raises BookError: at once when the file
    cannot be made, and from the first failed write on at every `intend` and
    `flush`.
    """

    def __init__(self, path: Path, run: str, sync: Callable[[int], None] = os.fsync) -> None:
        self._loop, self._sync = asyncio.get_running_loop(), sync
        self._wake = threading.Condition()
        self._lines: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._closed, self._failure = False, ""
        self._digest, self._seal = hashlib.sha256(), Seal(0, hashlib.sha256(b"").hexdigest())
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BookError(f"{path}: cannot be made: {error.strerror}") from error
        self._add({"ledger": run})
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._thread.start()

    @property
    def seal(self) -> Seal:
        """Of what is on the disk by now."""
        return self._seal

    async def intend(self, write: str, t: float) -> None:
        """Put on the disk that a write is about to be sent; returns when it is there."""
        self._add({"intent": write, "t": t})
        await self.flush()

    def outcome(self, write: str, outcome: Outcome) -> None:
        """What came of a write; on the disk no later than the next intent."""
        self._add({"outcome": write, **outcome._asdict()})

    async def flush(self) -> None:
        """Return when everything so far is on the disk."""
        done: asyncio.Future[None] = self._loop.create_future()
        with self._wake:
            if self._failure:
                raise BookError(self._failure)
            self._waiting.append(done)
            self._wake.notify()
        await done

    def close(self) -> None:
        """Write what waits and close the file."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        os.close(self._fd)

    def _add(self, line: dict[str, object]) -> None:
        raw = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        with self._wake:
            self._lines.append(raw)

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._closed)
                lines, self._lines = self._lines, []
                waiting, self._waiting = self._waiting, []
                last = self._closed
            self._commit(lines)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._tell, waiting)
            if last:
                return

    def _commit(self, lines: Sequence[bytes]) -> None:
        if self._failure:
            return
        try:
            rest = memoryview(b"".join(lines))
            self._digest.update(rest)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            self._sync(self._fd)
        except OSError as error:
            with self._wake:
                self._failure = f"the ledger cannot be written: {error.strerror}; no more writes are sent"
            return
        self._seal = Seal(self._seal.lines + len(lines), self._digest.hexdigest())

    def _tell(self, waiting: Sequence[asyncio.Future[None]]) -> None:
        for future in waiting:
            if not future.done():
                future.set_exception(BookError(self._failure)) if self._failure else future.set_result(None)
