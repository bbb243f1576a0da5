"""What faults have in common that the caller's own proxy makes: `fault` of a VirtualService's routes.

It does so before anything is sent and does not try again: such a fault shows
what callers make of errors or slowness, never whether a mesh fails over.
"""

from __future__ import annotations

from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import paths
from blackstart.faults.base import FaultError, Target
from blackstart.faults.paths import Answered
from blackstart.faults.routes import Routes
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet.headers import revealed
from blackstart.fleet.model import Fleet

_PATIENCE = 2.0


class ClientSide(Routes):
    """Proven by a client that comes in at the service's entry: that leads through the region's gateway."""

    def felt(self, found: Answered, data: dict[str, Any]) -> bool:
        """Whether an answer is what the fault makes of one."""
        raise NotImplementedError

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """The object, if the entry does not look already as the fault would make it."""
        before = super().capture(fleet, target)
        found = self._ask(fleet, target.data)
        if found is None or self.felt(found, target.data):
            said = "does not answer" if found is None else f"answers {found.status} after {found.took:.3f} s"
            raise FaultError(
                f"{self.kind} {target.name}: the entry {said} already: nothing could prove that it bites"
            )
        return before

    def prove(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """A client of the entry feels it."""

        def look() -> str:
            found = self._ask(fleet, undo.data)
            if found is None or not self.felt(found, undo.data):
                raise NotYet("a client of the entry has not felt it")
            return f"a client of the entry got {found.status} after {found.took:.3f} s"

        return wait_for(f"{undo.kind} {undo.target}", within, look)

    def _ask(self, fleet: Fleet, data: dict[str, Any]) -> Answered | None:
        entry = fleet.services[data["service"]].entry
        path = paths.path_of(entry, f"services.{data['service']}.entry")
        return paths.ask(fleet, path, data.get("delay", 0.0) + _PATIENCE, revealed(entry.headers))


def percentage(args: dict[str, Any]) -> float:
    """The share of requests, 100 unless said otherwise. Raises FaultError."""
    found = args.get("percentage", 100)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= 100:
        raise FaultError(f"`percentage` is a number above 0, at most 100, not {found!r}")
    return float(found)
