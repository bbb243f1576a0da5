"""What faults have in common that take one of a region's observers away by its power commands in fleet.yaml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from blackstart.evidence.undo import Undo
from blackstart.faults import paths
from blackstart.faults.base import FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.observerparts import Where, own_path, power_of, where
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet import power
from blackstart.fleet.model import ControlPath, Fleet, Power

_TAKE = {"kill": power.kill, "freeze": power.freeze}
_STATE = {"kill": "dead", "freeze": "frozen"}


class ObserverPower:
    """A region's Prometheus or Thanos sidecar, dead or frozen; the region itself is left alone."""

    guarded = False

    def __init__(self, does: Literal["kill", "freeze"]) -> None:
        self.does, self.state, self.kind = does, _STATE[does], f"{does}-observer"
        self.immediate = does == "freeze"

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`region` by role, and `part`."""
        at = where(fleet, args)
        self._power(fleet, at)
        return [Target(str(at), at.model_dump(), (at.region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """Nothing but that it is up and answers: it comes back with what it had."""
        at = Where.model_validate(target.data)
        if (found := power.state(self._power(fleet, at))) != "up":
            raise FaultError(f"{self.kind} {at}: its state is {found!r}, not 'up'; bring it up first")
        if not paths.answers(fleet, path := own_path(fleet, at)):
            raise FaultError(f"{self.kind} {at}: no answer at {path.address}: nothing could prove that it bites")
        return {}

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """Its own address. None of a frozen one, whose kernel takes connections in its place: `confirm` asks it."""
        path = own_path(fleet, Where.model_validate(target.data))
        return [path] if self.does == "kill" else []

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Take it away."""
        _TAKE[self.does](self._power(fleet, _at(undo)))

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """The power command says so; right after the change, a frozen one has no answer any more, either."""
        if (found := power.state(self._power(fleet, _at(undo)))) != self.state:
            raise FaultError(f"{undo.kind} {undo.target}: its state is {found!r}, not {self.state!r}")
        path = own_path(fleet, _at(undo))
        if self.does == "kill" or not within:
            return f"state {self.state}"
        if paths.answers(fleet, path):
            raise FaultError(f"{undo.kind} {undo.target}: its power command says frozen, but {path.address} answers")
        return f"state {self.state}; no answer at {path.address}"

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Bring it back, from whatever became of it."""
        power.restore(self._power(fleet, _at(undo)))

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """Its state, by the power command."""
        found = power.state(self._power(fleet, _at(undo)))
        return [] if found == "up" else [Change(undo.target, "power", found, "up")]

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """It is up, and answers."""
        switch, path = self._power(fleet, _at(undo)), own_path(fleet, _at(undo))

        def look() -> str:
            if (found := power.state(switch)) != "up":
                raise NotYet(f"its state is {found!r}")
            if not paths.answers(fleet, path):
                raise NotYet(f"no answer at {path.address}")
            return f"{path.address} answers"

        return wait_for(f"{undo.kind} {undo.target}", switch.deadline, look)

    def _power(self, fleet: Fleet, at: Where) -> Power:
        return power_of(fleet, at, self.does)


def _at(undo: Undo) -> Where:
    return Where.model_validate(undo.data)
