"""What faults have in common that kill one part of a region's mesh by the power commands of fleet.yaml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import paths, roles
from blackstart.faults.base import FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.meshparts import power_of, ready_path
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet import power
from blackstart.fleet.model import ControlPath, Fleet, Power
from blackstart.schema.base import Model


class _Data(Model):
    region: str


class PartKill:
    """`part` of a region's mesh without power; the region itself, and every object in it, is left alone."""

    guarded = False

    def __init__(self, part: str) -> None:
        self.part, self.kind = part, f"{part}-kill"

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`region` by role."""
        region = roles.region(fleet, args["region"])
        power_of(fleet, region, self.part)
        return [Target(f"{region}/{self.part}", _Data(region=region).model_dump(), (region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """Nothing but that it is up: it comes back with what it had."""
        region = _Data.model_validate(target.data).region
        if (found := power.state(power_of(fleet, region, self.part))) != "up":
            raise FaultError(f"{self.kind} {region}: its state is {found!r}, not 'up'; bring it up first")
        return {}

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """Its own address."""
        return [ready_path(fleet, _Data.model_validate(target.data).region, self.part)]

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Kill it."""
        power.kill(self._power(fleet, undo))

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """The power command says that it is dead."""
        if (found := power.state(self._power(fleet, undo))) != "dead":
            raise FaultError(f"{undo.kind} {undo.target}: its state is {found!r}, not 'dead'")
        return "state dead"

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Bring it back."""
        power.restore(self._power(fleet, undo))

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """Its state, by the power command."""
        found = power.state(self._power(fleet, undo))
        return [] if found == "up" else [Change(undo.target, "power", found, "up")]

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """It is up, and answers."""
        switch = self._power(fleet, undo)
        path = ready_path(fleet, _Data.model_validate(undo.data).region, self.part)

        def look() -> str:
            if (found := power.state(switch)) != "up":
                raise NotYet(f"its state is {found!r}")
            # Any answer will do: a gateway whose istiod is dead, too, is back without being ready.
            if paths.ask(fleet, path) is None:
                raise NotYet(f"no answer at {path.address}")
            return f"{path.address} answers"

        return wait_for(f"{undo.kind} {undo.target}", switch.deadline, look)

    def _power(self, fleet: Fleet, undo: Undo) -> Power:
        return power_of(fleet, _Data.model_validate(undo.data).region, self.part)
