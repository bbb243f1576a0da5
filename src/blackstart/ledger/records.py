"""Reads a ledger back, and finds out when it is not what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from blackstart.evidence.written import Writes
from blackstart.ledger.book import LEDGER, Outcome, Result, Seal
from blackstart.ledger.ids import parse
from blackstart.schema.errors import BlackstartError


class BadLedger(BlackstartError):  # noqa: N818 - it is what was read, not a mistake of the program
    """The file is not what was written; nothing can be concluded from it."""

    exit_code = 12


class Write(NamedTuple):
    """A write that was meant, and what came of it.

    `sent`, `answered`: monotonic seconds; `answered` None when its writer died
    before it knew. `by`: who answered.
    """

    id: str
    writer: int
    number: int
    result: Result
    sent: float
    answered: float | None
    by: str = ""


def read(path: Path, run: str, seals: Sequence[Seal] = (), *, whole: bool = False) -> list[Write]:
    """Every write of a ledger, in the order of their intents; an intent without an outcome is indeterminate.

    `seals`: what is known of the file; `whole`: the last of them is of all of
    it. Half a line at the end, as a crash leaves it, is left out unless a seal
    speaks of it. Raises BadLedger.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadLedger(f"{path.name}: {error.strerror}") from error
    check_seals(raw, seals, whole=whole, name=path.name)
    reader = _Reader(path.name, run)
    lines = raw.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        reader.take(number, line)
    return reader.writes()


def check_seals(raw: bytes, seals: Sequence[Seal], *, whole: bool, name: str) -> None:
    """Raises BadLedger unless the bytes of a ledger are what each seal says. `whole`: nothing follows the last."""
    digest, lines, at = hashlib.sha256(), 0, 0
    for seal in sorted(set(seals)):
        start = at
        while lines < seal.lines:
            end = raw.find(b"\n", at)
            if end < 0:
                raise BadLedger(f"{name}: {lines} lines, where {seal.lines} were written: it was cut")
            at, lines = end + 1, lines + 1
        digest.update(memoryview(raw)[start:at])
        if digest.hexdigest() != seal.digest:
            raise BadLedger(f"{name}: its first {seal.lines} lines are not as they were written")
    if whole and at != len(raw):
        raise BadLedger(f"{name}: something was added after line {lines}, the last that was written")


def altered(folder: Path, told: Sequence[Writes]) -> str | None:
    """What is wrong with the ledger in a run's folder, by what its writers told the evidence; None: nothing."""
    if not told:
        return None
    seals = [Seal(record.lines, record.digest) for record in told]
    try:
        check_seals((folder / LEDGER).read_bytes(), seals, whole=told[-1].state == "stopped", name=LEDGER)
    except OSError as error:
        return f"{LEDGER}: {error.strerror}"
    except BadLedger as bad:
        return str(bad)
    return None


class _Reader:
    def __init__(self, name: str, run: str) -> None:
        self._name, self._run = name, run
        self._intents: dict[str, tuple[int, int, float]] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._numbers: dict[int, int] = {}

    def take(self, number: int, line: bytes) -> None:
        try:
            body = json.loads(line)
            if number == 1:
                self._begin(body)
            elif "intent" in body:
                self._intent(body["intent"], float(body["t"]))
            else:
                self._outcome(body.pop("outcome"), body)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadLedger(f"{self._name}:{number}: {error or 'no line of a ledger'}") from None

    def writes(self) -> list[Write]:
        nothing = Outcome("indeterminate", 0.0, 0.0)
        found = []
        for write, (writer, number, t) in self._intents.items():
            said = self._outcomes.get(write, nothing)
            known = said is not nothing
            result, answered = said.result, said.answered if known else None
            found.append(Write(write, writer, number, result, said.sent if known else t, answered, said.by))
        return found

    def _begin(self, body: dict[str, Any]) -> None:
        if body["ledger"] != self._run:
            raise ValueError(f"is the ledger of run {body['ledger']!r}, not of {self._run!r}")

    def _intent(self, write: str, t: float) -> None:
        found = parse(write)
        if found is None or found.run != self._run:
            raise ValueError(f"{write!r} is no id of this run")
        due = self._numbers.get(found.writer, 0) + 1
        if found.number != due:
            raise ValueError(f"write {found.number} of writer {found.writer}, where {due} belongs: lines are missing")
        self._numbers[found.writer] = due
        self._intents[write] = (found.writer, found.number, t)

    def _outcome(self, write: str, body: dict[str, Any]) -> None:
        if write not in self._intents:
            raise ValueError(f"an outcome of {write!r}, which was never meant")
        if write in self._outcomes:
            raise ValueError(f"a second outcome of {write!r}")
        if body["result"] not in ("ok", "failed", "indeterminate"):
            raise ValueError(f"{body['result']!r} is no outcome")
        self._outcomes[write] = Outcome(**body)
