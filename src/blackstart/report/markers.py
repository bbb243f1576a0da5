"""The moments that the timeline points out."""

from __future__ import annotations

from dataclasses import dataclass

from blackstart.evidence.history import History
from blackstart.evidence.records import FaultState
from blackstart.report.format import seconds
from blackstart.schema.result import Clock

DASHES = {"T0": "", "detected": "2 2", "moved": "7 3", "recovered": "9 3 2 3", "undone": "4 4", "failed back": "1 3"}


@dataclass(frozen=True)
class Marker:
    """A moment, seconds of the monotonic clock; `after`: what it is counted from, in words."""

    name: str
    t: float
    label: str
    after: str

    @property
    def dash(self) -> str:
        """Its own dash pattern, so that it is told apart without colour."""
        return DASHES[self.name]


def markers(history: History, clock: Clock) -> list[Marker]:
    """Those that came to pass, in order of time."""
    if clock.t0 is None:
        return []
    zero = clock.t0.earliest
    width = clock.t0.latest - zero
    found = [Marker("T0", zero, "T0", f"known within {seconds(width)}" if width else "known exactly")]
    for name, value in (("detected", clock.detected_s), ("moved", clock.moved_s), ("recovered", clock.recovered_s)):
        if value is not None:
            found.append(Marker(name, zero + value, f"{name} {seconds(value)}", f"{seconds(value)} after T0"))
    undone = undone_at(history)
    if undone is not None:
        found.append(Marker("undone", undone, "undone", f"{seconds(undone - zero)} after T0"))
        if clock.failback_s is not None:
            after = seconds(clock.failback_s)
            found.append(
                Marker("failed back", undone + clock.failback_s, f"failed back {after}", f"{after} after the undo")
            )
    return sorted(found, key=lambda marker: marker.t)


def undone_at(history: History) -> float | None:
    """When the last fault was confirmed to be reverted; None unless all are."""
    events = [fault.reached(FaultState.CONFIRMED_REVERTED) for fault in history.broken]
    times = [event.t for event in events if event is not None]
    return max(times) if times and len(times) == len(events) else None
