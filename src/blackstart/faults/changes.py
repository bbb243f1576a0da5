"""What putting a fault back would change, for those who want to read it first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from blackstart.evidence.undo import Undo
from blackstart.faults.base import Fault
from blackstart.fleet.model import Fleet


@dataclass(frozen=True)
class Change:
    """One field of one object; `found` and `to` are None where there is no value."""

    thing: str
    field: str
    found: Any
    to: Any

    def __str__(self) -> str:
        return f"{self.thing}: {self.field}: {_shown(self.found)} -> {_shown(self.to)}"


@runtime_checkable
class Foreseeable(Protocol):
    """A fault that can say what its revert would change."""

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """What `revert` would change now; empty when nothing. Raises what `revert` raises, Conflict too."""


def changes(fault: Fault, fleet: Fleet, undo: Undo) -> list[Change]:
    """What putting back would change; a fault that cannot say shows what it found before the change."""
    if isinstance(fault, Foreseeable):
        return fault.changes(fleet, undo)
    return [Change(undo.target, "all", "what the fault did", undo.before or "what was there")]


def _shown(value: Any) -> str:
    if value is None:
        return "(none)"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= 120 else f"{text[:117]}..."
