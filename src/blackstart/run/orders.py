"""What the supervisor says to the child, on its standard input."""

from __future__ import annotations

import select
import threading
from collections.abc import Collection
from typing import IO

from blackstart.faults.base import Fenced

_LOOK = 0.25


class Orders:
    """Two threads look: one waits for the order to undo, the other asks right before it changes something."""

    def __init__(self, lines: IO[bytes]) -> None:
        self._lines, self._lock, self._undo = lines, threading.Lock(), False

    def wait(self) -> None:
        """Return when asked to undo, or when the supervisor is gone."""
        while not self._undo:
            self._look(_LOOK)

    def check(self, regions: Collection[str]) -> None:
        """Raise Fenced once the supervisor is gone or has asked to undo, however late this process learns of it."""
        self._look(0)
        if self._undo:
            raise Fenced("the supervisor is gone, or has asked to undo; nothing more is changed")

    def _look(self, seconds: float) -> None:
        if not select.select([self._lines], [], [], seconds)[0]:
            return
        with self._lock:
            # The other thread may have read the line just now.
            if not self._undo and select.select([self._lines], [], [], 0)[0]:
                line = self._lines.readline()
                self._undo = not line or line.strip() == b"undo"
