"""What every fault has in common.

A kind of fault is one module `blackstart.faults.<kind>` with a class that
implements `Fault`. The order of writing is kept by `blackstart.faults.inject`,
not by the faults: record on disk, change, record; confirm by a control probe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from blackstart.evidence.records import Interval
from blackstart.fleet.model import ControlPath, Fleet


class FaultError(Exception):
    """The fault could not be applied, confirmed or reverted; says place, cause and next step."""


class Conflict(FaultError):  # noqa: N818 - a state of the world, not a mistake
    """Someone else changed the object since; nothing was overwritten."""


@dataclass(frozen=True)
class Target:
    """One thing that a fault changes: a name for people, and plain data for the fault itself."""

    name: str
    data: dict[str, Any]


class Fault(Protocol):
    """One kind of fault. Every method is idempotent and ends within its deadline."""

    kind: str

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """What the arguments select; raises FaultError when that is nothing."""

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """The state before, as plain JSON data, enough to revert without any memory of the run."""

    def apply(self, fleet: Fleet, target: Target, undo: dict[str, Any]) -> None:
        """Make the change. `undo` is the record that is on disk by now (id, run, before)."""

    def control_paths(self, fleet: Fleet, target: Target) -> list[ControlPath]:
        """Every path that the fault claims to cut."""

    def confirm(self, fleet: Fleet, target: Target, undo: dict[str, Any]) -> str:
        """What shows, besides the control paths, that the change is there; raises FaultError when it is not."""

    def revert(self, fleet: Fleet, undo: dict[str, Any]) -> None:
        """Put back what `undo` says; raises Conflict when someone else changed it since."""

    def confirm_reverted(self, fleet: Fleet, undo: dict[str, Any]) -> str:
        """What shows that it is as before, waiting up to the fault's deadline; raises FaultError."""


@dataclass(frozen=True)
class Effect:
    """When a fault took effect, by its control probe, and what the probe saw."""

    t0: Interval
    detail: str
