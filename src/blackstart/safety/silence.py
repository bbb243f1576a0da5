"""Listens to the supervisor until it is dead, silent for too long, or says that all is well."""

from __future__ import annotations

import os
import select

from blackstart.safety.clock import boottime
from blackstart.safety.sessions import Identity
from blackstart.schema.base import Model

_LOOK = 0.5
"""Seconds of one wait; short, for a machine that slept must notice by its clock."""


class Silence(Model):
    """Why the watchdog must act, and who injects for the run."""

    reason: str
    child: Identity | None


class Lines:
    """Lines from a file descriptor, as they come."""

    def __init__(self, fd: int) -> None:
        self.fd, self._rest = fd, b""

    def first(self) -> bytes:
        """The first line; what there was of it when the other side ended before."""
        while b"\n" not in self._rest:
            chunk = os.read(self.fd, 1 << 16)
            if not chunk:
                break
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def wait(self, seconds: float) -> list[str] | None:
        """Whole lines that came within so many seconds, at once when there are any; None at the end."""
        if b"\n" not in self._rest:
            if not select.select([self.fd], [], [], seconds)[0]:
                return []
            chunk = os.read(self.fd, 1 << 16)
            if not chunk:
                return None
            self._rest += chunk
        whole, _, self._rest = self._rest.rpartition(b"\n")
        return whole.decode(errors="replace").splitlines()


def watch(lines: Lines, ttl: float) -> Silence | None:
    """Return when the supervisor is dead, or silent for `ttl` seconds; None when it says that all is well."""
    child, heard = None, boottime()
    while True:
        said = lines.wait(_LOOK)
        if said is None:
            return Silence(reason="the supervisor is gone", child=child)
        if "quit" in said:
            return None
        for line in said:
            if line.startswith("child "):
                child = Identity.parse(line.removeprefix("child "))
        if said:
            heard = boottime()
        elif boottime() - heard >= ttl:
            return Silence(reason=f"no sign of life from the supervisor for {ttl:g} s", child=child)
