"""Kills the server of a store in a region by its power commands in fleet.yaml; the region itself is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import storeparts
from blackstart.faults.base import FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.storeparts import Where
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet import power
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import ControlPath, Fleet, Power


class KillStore:
    """A store's server without power. It comes back with its data; its part in replication is the power command's."""

    kind = "kill-store"
    guarded = False
    immediate = True

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`store` and `region` by role."""
        at = storeparts.where(fleet, args)
        _power(fleet, at)
        return [Target(str(at), at.model_dump(), (at.region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """That it is up and answers: one that does not would prove nothing."""
        at = Where.model_validate(target.data)
        if (found := power.state(_power(fleet, at))) != "up":
            raise FaultError(f"{self.kind} {at}: its state is {found!r}, not 'up'; bring it up first")
        _ask(fleet, at)
        return {}

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """None: a database speaks no HTTP; `confirm` asks it."""
        return []

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Kill it."""
        power.kill(_power(fleet, Where.model_validate(undo.data)))

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """The power command says that it is dead, and nobody answers in its place."""
        at = Where.model_validate(undo.data)
        if (found := power.state(_power(fleet, at))) != "dead":
            raise FaultError(f"{undo.kind} {at}: its state is {found!r}, not 'dead'")
        try:
            _ask(fleet, at)
        except FleetError as error:
            return f"state dead; {error}"
        raise FaultError(f"{undo.kind} {at}: its power command says dead, but a server answers at its address")

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Bring it back."""
        power.restore(_power(fleet, Where.model_validate(undo.data)))

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """Its state, by the power command."""
        found = power.state(_power(fleet, Where.model_validate(undo.data)))
        return [] if found == "up" else [Change(undo.target, "power", found, "up")]

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """It is up, and answers."""
        at = Where.model_validate(undo.data)
        switch = _power(fleet, at)

        def look() -> str:
            if (found := power.state(switch)) != "up":
                raise NotYet(f"its state is {found!r}")
            return f"it answers: {_ask(fleet, at)}"

        return wait_for(f"{undo.kind} {at}", switch.deadline, look)


def _power(fleet: Fleet, at: Where) -> Power:
    found = storeparts.parts(fleet, at)[1].power
    if found is None:
        raise FaultError(
            f"fleet {fleet.fleet!r}: stores.{at.store}.members.{at.region} has no `power`; say how to kill it, or, "
            "where it runs in Kubernetes, use delete_pods"
        )
    return found


def _ask(fleet: Fleet, at: Where) -> str:
    """What a server at its address says that it is. Raises FleetError."""
    store = storeparts.parts(fleet, at)[0]
    if store.kind == "redis":
        with storeparts.redis_client(fleet, at, store.reader) as client:
            return f"role {client.info('replication')['role']}"
    with storeparts.sql_session(fleet, at, store.reader) as session:
        return f"version {session.row('SELECT VERSION() AS version')['version']}"


FAULT = KillStore()
