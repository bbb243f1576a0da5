"""Tells who tries to get through a fault. Nothing here may keep a fault from being put back."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from blackstart.evidence.events import Emit
from blackstart.evidence.records import Crossing, Note
from blackstart.evidence.undo import Undo
from blackstart.faults.base import Counting, Fault
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.fleet.places import place_of, source_of


def tell(
    fault: Fault, fleet: Fleet, undo: Undo, emit: Emit, proved_over: Sequence[ControlPath] | None = None
) -> None:
    """Emit what the fault has counted so far, if it counts. Never raises.

    `proved_over`: the paths of a control probe that has just ended; what was
    tried over them from its own addresses is taken for its.
    """
    if not isinstance(fault, Counting):
        return
    try:
        own = None if proved_over is None else _ends(fleet, proved_over)
        for crossing in fault.tried(fleet, undo):
            emit(crossing if own is None else _with_own(crossing, own))
    except Exception as error:  # noqa: BLE001 - counting is no reason to leave anything broken
        emit(Note(level="warning", text=f"{undo.fault}: who tried to get through is not known: {error}"))


def _with_own(crossing: Crossing, own: set[tuple[str, str]]) -> Crossing:
    rows = [row for row in crossing.tried if (row.source, row.destination) in own]
    return crossing.model_copy(update={"own": rows})


def _ends(fleet: Fleet, paths: Sequence[ControlPath]) -> set[tuple[str, str]]:
    """Source and destination of the connections that a control probe opens."""
    found = set()
    for path in paths:
        host, _, port = path.address.rpartition(":")
        # An address that is not reachable or no IPv4 address is not counted either.
        with contextlib.suppress(OSError, ValueError):
            found.add((source_of(place_of(fleet, path), host, int(port)), path.address))
    return found
