"""The writer of evidence.ndjson: hash-chained lines, on disk when it matters."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from blackstart.evidence.records import Body, Line, Reading, Samples
from blackstart.evidence.written import Writes
from blackstart.schema.errors import BlackstartError

GENESIS = hashlib.sha256(b"").hexdigest()
"""`prev` of the first line: the digest of nothing."""


class EvidenceError(BlackstartError):
    """A record could not be written; the run cannot be proven any more and must be undone."""

    exit_code = 1


def utc_now() -> datetime:
    """The wall-clock time, for people; nothing is computed from it."""
    return datetime.now(UTC)


class Writer:
    """Appends records to one file; one writer per run.

    Each record is handed to the system at once and fsynced at every change of
    state. Samples, readings and counts of writes are fsynced once `sync_every`
    seconds have passed since the last time. Not safe for use from several
    threads.

    Raises EvidenceError, from the first failed write on, at every call.
    """

    def __init__(
        self,
        path: Path,
        *,
        sync_every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = utc_now,
    ) -> None:
        self._clock, self._wall, self._sync_every = clock, wall, sync_every
        self._n, self._prev, self._synced = 0, GENESIS, clock()
        self._broken: str | None = None
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
            _sync_folder(path.parent)
        except OSError as error:
            raise EvidenceError(f"{path}: cannot create the evidence file: {error.strerror}") from error

    def write(self, body: Body, t: float | None = None) -> Line:
        """Append one record; `t` is when it happened (monotonic seconds; now when not given)."""
        if self._broken:
            raise EvidenceError(self._broken)
        at = self._wall().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = Line(n=self._n, prev=self._prev, t=self._clock() if t is None else t, at=at, body=body)
        raw = line.model_dump_json().encode()
        self._append(raw + b"\n")
        self._n, self._prev = self._n + 1, hashlib.sha256(raw).hexdigest()
        if not isinstance(body, Samples | Reading | Writes) or self._clock() - self._synced >= self._sync_every:
            self.sync()
        return line

    def sync(self) -> None:
        """Put everything written so far on the disk."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            self._fail(error)
        self._synced = self._clock()

    def close(self) -> None:
        """Close the file; every record but late samples is on the disk by then."""
        os.close(self._fd)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, raw: bytes) -> None:
        rest = memoryview(raw)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        # After a failed write the file may end in half a line: nothing may be appended to it.
        self._broken = f"evidence cannot be written: {error.strerror}; the run is undone; free space on the disk"
        raise EvidenceError(self._broken) from error


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
