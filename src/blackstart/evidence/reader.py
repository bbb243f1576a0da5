"""Reads evidence back, and proves that nobody changed it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from blackstart.evidence.records import End, Header, Line
from blackstart.evidence.writer import GENESIS
from blackstart.schema.errors import BlackstartError

EVIDENCE = "evidence.ndjson"
SUMS = "SHA256SUMS"


class BadEvidence(BlackstartError):  # noqa: N818 - it is what was read, not a mistake of the program
    """The evidence was altered or is no evidence; says at which line."""

    exit_code = 12


@dataclass(frozen=True)
class Verification:
    """What a look at an evidence file came to.

    lines: whole, good lines from the start. problem: why the next one is not
    good (None: all are). torn: the file ends in half a line, as after a crash.
    ended: the last good line is an End record. head: digest of that line.
    """

    lines: int
    problem: str | None
    torn: bool
    ended: bool
    head: str

    @property
    def intact(self) -> bool:
        """Every whole line is as it was written."""
        return self.problem is None

    @property
    def complete(self) -> bool:
        """Intact, and the run ended by itself."""
        return self.intact and self.ended and not self.torn


def read(path: Path) -> Iterator[Line]:
    """The lines of an evidence file, checked as they are read; a torn last line is left out.

    Raises BadEvidence at the first line that is not as it was written, and
    OSError when the file cannot be read.
    """
    chain = _Chain()
    for raw, whole in _raw_lines(path):
        if whole:
            yield chain.accept(raw)


def verify(path: Path) -> Verification:
    """Check the chain of an evidence file. Raises OSError when the file cannot be read."""
    chain, problem, torn = _Chain(), None, False
    for raw, whole in _raw_lines(path):
        if not whole:
            torn = True
            break
        try:
            chain.accept(raw)
        except BadEvidence as error:
            problem = str(error)
            break
    if chain.n == 0 and problem is None:
        problem = "the file holds no whole line"
    return Verification(chain.n, problem, torn, chain.ended, chain.prev)


def changed_files(folder: Path) -> list[str]:
    """Files of a run folder that are not as SHA256SUMS says; raises OSError when there is no SHA256SUMS."""
    changed = []
    for entry in (folder / SUMS).read_text().splitlines():
        digest, _, name = entry.partition("  ")
        path = folder / name
        if not path.is_file():
            changed.append(f"{name}: missing")
        elif file_digest(path) != digest:
            changed.append(f"{name}: not as it was when the run ended")
    return changed


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS (format of sha256sum) over every file of a run folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    (folder / SUMS).write_text("".join(f"{file_digest(path)}  {path.name}\n" for path in files))


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Chain:
    """What the next line must look like."""

    def __init__(self) -> None:
        self.n, self.prev, self.ended = 0, GENESIS, False

    def accept(self, raw: bytes) -> Line:
        where = f"line {self.n + 1}"
        try:
            line = Line.model_validate_json(raw)
        except ValidationError as error:
            raise BadEvidence(f"{where}: not a record: {error.errors()[0]['msg']}") from error
        if self.ended:
            raise BadEvidence(f"{where}: something was added after the end of the run")
        if line.n != self.n:
            raise BadEvidence(f"{where}: record {line.n} where {self.n} belongs; lines were cut, added or swapped")
        if line.prev != self.prev:
            raise BadEvidence(f"{where}: the line before it is not the one that it was written after")
        if (self.n == 0) != isinstance(line.body, Header):
            raise BadEvidence(f"{where}: the header must be the first record, and only the first")
        self.n, self.prev, self.ended = self.n + 1, hashlib.sha256(raw).hexdigest(), isinstance(line.body, End)
        return line


def _raw_lines(path: Path) -> Iterator[tuple[bytes, bool]]:
    with path.open("rb") as file:
        for raw in file:
            yield raw.rstrip(b"\n"), raw.endswith(b"\n")
