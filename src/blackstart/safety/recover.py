"""Puts back what runs left broken, from the undo store and from the fleet itself, without any memory of the runs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from blackstart.evidence.events import Emit
from blackstart.evidence.undo import Store
from blackstart.faults.base import Conflict
from blackstart.faults.inject import may_pass, told
from blackstart.fleet.errors import FleetError
from blackstart.safety.pieces import Findings, Piece, Shop
from blackstart.schema.errors import BlackstartError

Say = Callable[[str], None]

DEADLINE = 60.0
"""Seconds for which a part of the fleet that does not answer is asked again."""

_PAUSE = 1.0
_WORKERS = 32


@dataclass
class Recovery:
    """Puts faults back, side by side.

    fleet: a file to use in place of those that the records name. usual: the
    fleet that is swept besides those. deadline: seconds for which a part of
    the fleet that does not answer is asked again.
    """

    store: Store
    say: Say
    emit: Emit
    fleet: Path | None = None
    usual: Path | None = None
    deadline: float = DEADLINE
    found: bool = False
    """Whether there was anything to put back; known after `recover`."""
    _saying: threading.Lock = field(default_factory=threading.Lock)

    def recover(self, run: str | None = None, *, also_alive: bool = False, dry_run: bool = False) -> bool:
        """Put back one run, or every run that nobody works on any more; whether nothing is left.

        One problem does not stop the others; each fault gets one line.
        `also_alive`: runs that still go on, too. Raises BlackstartError when
        nobody has heard of `run`.
        """
        with contextlib.ExitStack() as held:
            findings = Findings(Shop(self.store, self.emit, held), self.fleet, self.usual, run, also_alive)
            if run and not findings.known:
                known = ", ".join(self.store.runs()) or "none"
                raise BlackstartError(f"no run {run!r} in {self.store.state}/undo or in the fleet; known: {known}")
            for line in findings.problems:
                self._tell(line)
            work = self._foretell if dry_run else self._do
            first, last = findings.pieces(), findings.remains()
            self.found = bool(first or last or findings.problems)
            kept = self._all(first, work)
            # The Leases of a run hold its guardians; they go when nothing is left to guard.
            kept |= self._all([piece for piece in last if dry_run or piece.run not in kept], work)
        return not kept and not findings.problems

    def _all(self, pieces: list[Piece], work: Callable[[Piece, float], bool]) -> set[str]:
        """Work on all at once; the runs of those that are not done."""
        until = time.monotonic() + self.deadline
        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            results = [(piece, pool.submit(work, piece, until)) for piece in pieces]
            return {piece.run for piece, result in results if not result.result()}

    def _do(self, piece: Piece, until: float) -> bool:
        waiting = False
        while True:
            try:
                self._tell(f"{piece.name}: {piece.put_back()}")
                return True
            except Conflict as conflict:
                self._tell(f"{piece.name}: conflict, left alone: {conflict}")
                return False
            except Exception as error:  # noqa: BLE001 - nothing that goes wrong with one may keep the others broken
                passes = isinstance(error, FleetError) and may_pass(error)
                if not passes or time.monotonic() >= until:
                    self._tell(f"{piece.name}: NOT put back: {told(error)}")
                    return False
                if not waiting:
                    left = until - time.monotonic()
                    self._tell(f"{piece.name}: not yet, asking again for {left:.0f} s: {told(error)}")
                waiting = True
            time.sleep(_PAUSE)

    def _foretell(self, piece: Piece, until: float) -> bool:
        """Say what putting back would change, in one piece; never done by that."""
        try:
            changes = piece.foresee()
            lines = [f"{piece.name}: would change", *(f"  {change}" for change in changes)]
            self._tell("\n".join(lines if changes else [f"{piece.name}: {piece.idle}"]))
        except Conflict as conflict:
            self._tell(f"{piece.name}: conflict, would be left alone: {conflict}")
        except Exception as error:  # noqa: BLE001 - as in _do
            self._tell(f"{piece.name}: cannot be foretold: {told(error)}")
        return False

    def _tell(self, text: str) -> None:
        with self._saying:
            self.say(text)
