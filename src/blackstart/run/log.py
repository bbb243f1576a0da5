"""What happens in a run, told once: to the evidence, and to whoever listens."""

from __future__ import annotations

import time
from collections.abc import Callable

from blackstart.evidence.records import Body, End
from blackstart.run.recorder import Recorder

Listener = Callable[[float, Body], None]
"""Called in the event loop with the moment (monotonic seconds) and the record."""


class Log:
    """Records go to the evidence first, then to the listeners.

    Never raises, for it is called while faults are being undone: what a
    listener raises goes to `on_failure`. Nothing follows the End.
    """

    def __init__(self, recorder: Recorder, on_failure: Callable[[Exception], None]) -> None:
        self._recorder, self._on_failure = recorder, on_failure
        self._listeners: list[Listener] = []
        self._ended = False

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of every record from now on."""
        self._listeners.append(listener)

    def __call__(self, body: Body) -> None:
        """This happened now."""
        if self._ended:
            return
        self._ended = isinstance(body, End)
        self._recorder.write(body)
        now = time.monotonic()
        for listener in self._listeners:
            try:
                listener(now, body)
            except Exception as error:  # noqa: BLE001 - the caller may be undoing a fault; handed on, not lost
                self._on_failure(error)
