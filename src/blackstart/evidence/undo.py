"""The undo store: how to put back what is about to be broken, on disk before it is broken.

One file for each state of each fault, `undo/<run>/<fault>.<n>.<state>.json`,
written whole (temporary file, fsync, rename, fsync of the folder) and never
changed. What is outstanding is a fold over these files, so it is known after
any crash, without any memory of the run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from blackstart.evidence.records import FaultState
from blackstart.schema.errors import BlackstartError

RUN_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
"""What a run may be called: it becomes a folder's name and a Kubernetes label."""

_NAME = re.compile(r"(?P<fault>[a-z0-9-]+)\.(?P<n>\d+)\.(?P<state>[a-z_]+)\.json")
_ALIVE = ".alive"
_RANK = {state: rank for rank, state in enumerate(FaultState)}


class UndoError(BlackstartError):
    """The store cannot be written or read; nothing may be injected."""


class Undo(BaseModel):
    """Everything needed to revert one fault. Plain data, no secrets; also the annotation on a changed object.

    `clusters`: region -> UID of its kube-system namespace; `data`: what the
    fault changes and to what; `before`: what it found; `fleet`: the absolute
    path of fleet.yaml; `at`: UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    run: str
    fault: str
    kind: str
    target: str
    fleet: str
    clusters: dict[str, str]
    data: dict[str, Any]
    before: dict[str, Any]
    at: str

    @property
    def id(self) -> str:
        """Unique across runs."""
        return f"{self.run}/{self.fault}"


class Entry(BaseModel):
    """One state of one fault, as on disk."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    undo: Undo
    n: int
    state: FaultState
    detail: str = ""

    @property
    def outstanding(self) -> bool:
        """Whether it may still have to be put back."""
        return self.state is not FaultState.CONFIRMED_REVERTED


@dataclass(frozen=True)
class Contents:
    """What the store holds: the latest state of every fault, and files that cannot be read."""

    latest: Mapping[str, Entry]
    damaged: tuple[Path, ...]

    @property
    def outstanding(self) -> list[Entry]:
        """What may still have to be put back, newest first."""
        found = [entry for entry in self.latest.values() if entry.outstanding]
        return sorted(found, key=lambda entry: (entry.undo.at, entry.undo.fault), reverse=True)


def fold(entries: Iterable[Entry]) -> dict[str, Entry]:
    """The latest state of every fault, by `Undo.id`, whatever the order of the entries."""
    latest: dict[str, Entry] = {}
    for entry in entries:
        known = latest.get(entry.undo.id)
        if known is None or _order(entry) > _order(known):
            latest[entry.undo.id] = entry
    return latest


def state_folder() -> Path:
    """Where this machine's runs keep their state: $BLACKSTART_STATE, else .blackstart in the working directory."""
    return Path(os.environ.get("BLACKSTART_STATE") or ".blackstart").absolute()


class Store:
    """The undo records below one state folder. Safe for several processes and runs at once."""

    def __init__(self, root: Path | None = None) -> None:
        self.state = (root or state_folder()).absolute()
        self._root = self.state / "undo"

    def arm(self, undo: Undo) -> Entry:
        """Put the record on the disk, before the change. Raises UndoError: nothing may be changed then."""
        if not RUN_ID.fullmatch(undo.run):
            raise UndoError(f"run id {undo.run!r}: letters, digits, `-`, `_` and `.` only, at most 63")
        return self._append(undo, FaultState.ARMED, "")

    def record(self, undo: Undo, state: FaultState, detail: str = "") -> Entry:
        """Write down a later state. Raises UndoError; without it the fault merely stays outstanding."""
        return self._append(undo, state, detail)

    def read(self, run: str | None = None) -> Contents:
        """What is on disk, of one run or of all; half-written files are no records."""
        entries, damaged = [], []
        for path in sorted(self._root.glob(f"{run or '*'}/*.json")):
            if path.name.startswith("."):
                continue
            try:
                entries.append(Entry.model_validate_json(path.read_bytes()))
            except (OSError, ValidationError):
                damaged.append(path)
        return Contents(fold(entries), tuple(damaged))

    def runs(self) -> list[str]:
        """Every run that has a folder in the store."""
        return sorted(path.name for path in self._root.glob("*") if path.is_dir())

    def faults(self, run: str) -> list[str]:
        """The ids of all faults that a run ever armed, readable or not."""
        names = (_NAME.fullmatch(path.name) for path in self._root.glob(f"{run}/*.json"))
        return sorted({match["fault"] for match in names if match})

    def folder(self, run: str) -> Path:
        """Where a run's records are; removing it means accepting things as they are."""
        return self._root / run

    @contextmanager
    def alive(self, run: str) -> Iterator[None]:
        """Let other processes see that the run goes on (`is_alive`); ends with the process at the latest."""
        try:
            make_folder(self.folder(run))
            fd = os.open(self.folder(run) / _ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UndoError(f"{self.folder(run)}: {error.strerror}; nothing was injected") from error
        with _locked(fd, fcntl.LOCK_SH):
            yield

    def is_alive(self, run: str) -> bool:
        """Whether a process is inside `alive` for this run."""
        try:
            fd = os.open(self.folder(run) / _ALIVE, os.O_RDWR | os.O_CLOEXEC)
            with _locked(fd, fcntl.LOCK_EX | fcntl.LOCK_NB):
                return False
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True

    @contextmanager
    def restoring(self, run: str, deadline: float = 300.0) -> Iterator[None]:
        """Keep two processes from putting the same run back at once. Raises UndoError after `deadline` seconds."""
        until = time.monotonic() + deadline
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    # The folder itself is locked: on a full disk no file can be made, but undoing must go on.
                    fd = os.open(self.folder(run), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                    stack.enter_context(_locked(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise UndoError(f"another process has been restoring run {run} for {deadline:g} s") from None
                    time.sleep(0.05)
            yield

    def _append(self, undo: Undo, state: FaultState, detail: str) -> Entry:
        folder = self.folder(undo.run)
        try:
            make_folder(folder)
            entry = Entry(undo=undo, n=self._next(folder, undo.fault), state=state, detail=detail)
            path = folder / f"{undo.fault}.{entry.n}.{state.value}.json"
            write_whole(path, entry.model_dump_json().encode())
        except OSError as error:
            raise UndoError(
                f"{folder}: cannot write the undo record of {undo.fault}: {error.strerror}; "
                "free space on the disk or set BLACKSTART_STATE to a folder that can be written"
            ) from error
        return entry

    @staticmethod
    def _next(folder: Path, fault: str) -> int:
        matches = (_NAME.fullmatch(path.name) for path in folder.glob(f"{fault}.*.json"))
        return 1 + max((int(match["n"]) for match in matches if match), default=-1)


def now() -> str:
    """The wall-clock time as records have it; for people, and to sort by."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, durably."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file so that after any crash it is there whole or not at all."""
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _locked(fd: int, how: int) -> Iterator[None]:
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)


def _order(entry: Entry) -> tuple[int, int]:
    # Two processes may have taken the same number; the later state counts then.
    return entry.n, _RANK[entry.state]
