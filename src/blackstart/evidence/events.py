"""Events from the process that injects to the one that writes the evidence: records as JSON lines on a pipe."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Mapping

from blackstart.evidence.records import Activity, Body, FaultEvent, Note

EVENTS_FD = "BLACKSTART_EVENTS_FD"
HELD = b"held\n"
"""The line that says: the method is done, the faults stay until they are asked to go."""

Emit = Callable[[Body], None]
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Pipe:
    """Writes events to a file descriptor. A reader that has gone is no error: undoing matters more."""

    def __init__(self, fd: int) -> None:
        self._fd, self._lock = fd, threading.Lock()

    def __call__(self, body: Body) -> None:
        self.write(body.model_dump_json().encode() + b"\n")

    def write(self, line: bytes) -> None:
        """Write one whole line."""
        with self._lock, contextlib.suppress(OSError):
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._fd, rest) :]


def emitter(environment: Mapping[str, str]) -> Emit:
    """Events go to the supervisor's pipe if there is one, else to Chaos Toolkit's log."""
    fd = environment.get(EVENTS_FD)
    return Pipe(int(fd)) if fd else log


def log(body: Body) -> None:
    """Tell a person, through Chaos Toolkit's log."""
    logger = logging.getLogger("chaostoolkit")
    match body:
        case FaultEvent():
            text = f"fault {body.fault} ({body.target}): {body.state}"
            logger.info(f"{text}: {body.detail}" if body.detail else text)
        case Note():
            logger.log(_LEVELS[body.level], body.text)
        case Activity(status="failed"):
            logger.error(f"{body.section}: {body.name}: {body.detail}")
        case _:
            logger.debug(body.model_dump_json())
