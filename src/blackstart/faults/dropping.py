"""What faults have in common that drop packets until healed or expired."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from blackstart.evidence.records import Crossing, Tried
from blackstart.evidence.undo import Undo
from blackstart.faults import paths
from blackstart.faults.base import FaultError
from blackstart.faults.changes import Change
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet import nft
from blackstart.fleet.drops import Drop, table_name
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.schema.base import Model

EXPIRES = 300.0
"""Seconds after which a cut heals by itself when nobody renews it and the experiment does not say otherwise."""

_CONFIRM_REVERTED = 60.0
_ROWS = 1000
"""Most rows of counters that are told of a place."""


class Lasting(Model):
    """How long it lasts: `expires` seconds, which are renewed or not."""

    expires: float
    renewed: bool = False


def lasting(args: dict[str, Any]) -> dict[str, Any]:
    """The fields of `Lasting`. Raises FaultError.

    `expires`: seconds that the experiment wants the cut to last at most; else
    it lasts for `lease` seconds and is renewed, or without one for EXPIRES.
    """
    lease = args.get("lease") if args.get("expires") is None else None
    expires = args.get("expires") if lease is None else lease
    if expires is None:
        expires = EXPIRES
    if isinstance(expires, bool) or not isinstance(expires, int | float) or expires <= 0:
        raise FaultError(f"`expires` is a number of seconds above 0, not {expires!r}")
    return {"expires": float(expires), "renewed": lease is not None}


class Dropping:
    """A fault that is nothing but drops in some places; their data are `Lasting` and more."""

    guarded = False

    def drops(self, fleet: Fleet, data: dict[str, Any]) -> nft.Drops:
        """What is dropped where. Raises FaultError."""
        raise NotImplementedError

    def over(self, fleet: Fleet, undo: Undo) -> list[ControlPath]:
        """Every path that must answer again afterwards."""
        raise NotImplementedError

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Drop from now on."""
        nft.cut(fleet, self.drops(fleet, undo.data), undo.id, _lasting(undo).expires)

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """Every place drops, and has not expired."""
        places = self._places(fleet, undo)
        if whole := [name for name in places if not nft.is_cut(fleet.places[name], undo.id)]:
            raise FaultError(f"{undo.kind} {undo.target}: not cut (any more) at {', '.join(whole)}")
        return f"dropped at {', '.join(places)}"

    def renew(self, fleet: Fleet, undo: Undo, ttl: float) -> None:
        """Let it last `ttl` seconds from now, unless the experiment said how long it lasts. Raises Expired."""
        if _lasting(undo).renewed:
            nft.renew(fleet, self.drops(fleet, undo.data), undo.id, ttl)

    def tried(self, fleet: Fleet, undo: Undo) -> list[Crossing]:
        """What each place has counted; the counters go with the drops."""
        return [_crossing(fleet, undo, place, drops) for place, drops in self.drops(fleet, undo.data).items()]

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Take the drops away."""
        nft.heal(fleet, self._places(fleet, undo), undo.id)

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """The fault's table goes wherever it is."""
        table = f"nft table {table_name(undo.id)}"
        return [Change(f"place {name}", table, "there", None) for name in self._left(fleet, undo)]

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """No place has the fault's table, and every path answers again."""

        def look() -> str:
            if left := self._left(fleet, undo):
                raise NotYet(f"table {table_name(undo.id)} still there at {', '.join(left)}")
            return paths.all_answer(fleet, self.over(fleet, undo))

        return wait_for(f"{undo.kind} {undo.target}", _CONFIRM_REVERTED, look)

    def _places(self, fleet: Fleet, undo: Undo) -> list[str]:
        return list(self.drops(fleet, undo.data))

    def _left(self, fleet: Fleet, undo: Undo) -> list[str]:
        table = table_name(undo.id)
        return [name for name in self._places(fleet, undo) if table in nft.tables(fleet.places[name])]


def _crossing(fleet: Fleet, undo: Undo, place: str, drops: Sequence[Drop]) -> Crossing:
    users = {drop.user for drop in drops}
    user = users.pop() if len(users) == 1 else None
    try:
        found = nft.tried(fleet.places[place], undo.id)
    except nft.NftError as error:
        return Crossing(by="nft", place=place, fault=undo.fault, user=user, unread=str(error))
    rows = [Tried(source=s, destination=d, attempts=n, idle=idle) for s, d, n, idle in found[:_ROWS]]
    left_out = len(found) - len(rows)
    return Crossing(by="nft", place=place, fault=undo.fault, user=user, tried=rows, left_out=left_out)


def _lasting(undo: Undo) -> Lasting:
    return Lasting(expires=undo.data["expires"], renewed=undo.data.get("renewed", False))
