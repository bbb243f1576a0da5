"""Cuts links: every packet is dropped at both ends, silently, until healed or expired."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import paths, roles
from blackstart.faults.base import FaultError, Target
from blackstart.faults.changes import Change
from blackstart.faults.wait import NotYet, wait_for
from blackstart.fleet import nft
from blackstart.fleet.model import ControlPath, Fleet, Link, Place
from blackstart.schema.base import Model

EXPIRES = 300.0
"""Seconds after which a cut heals by itself when nobody renews it and the experiment does not say otherwise."""

_CONFIRM_REVERTED = 60.0


class _Data(Model):
    links: list[str]
    expires: float
    renewed: bool = False


class Sever:
    """The links between two members, or, as `Isolate`, all links of one."""

    kind = "sever"
    guarded = False

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`link`: its two ends, roles, regions or places; `expires` and `lease` as for `cut_target`."""
        ends = args["link"]
        if not isinstance(ends, list | tuple) or len(ends) != 2:
            raise FaultError(f"sever: `link` names two ends, such as [primary, standby]; found {ends!r}")
        members = [roles.member(fleet, role) for role in ends]
        links = roles.links_between(fleet, set(members))
        return [cut_target(fleet, "-".join(members), links, args)]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """Nothing to remember: an uncut link has no table of the fault."""
        return {}

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """Every path over the links."""
        return _paths(_links(fleet, target.data))

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Cut each link at both ends."""
        nft.cut(fleet, _links(fleet, undo.data), undo.id, _Data.model_validate(undo.data).expires)

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """Every end drops, and has not expired."""
        places = _places(fleet, undo)
        if open_ends := [name for name, place in places.items() if not nft.is_cut(place, undo.id)]:
            raise FaultError(f"{undo.kind} {undo.target}: not cut (any more) at {', '.join(open_ends)}")
        return f"dropped at {', '.join(places)}"

    def renew(self, fleet: Fleet, undo: Undo, ttl: float) -> None:
        """Let it last `ttl` seconds from now, unless the experiment said how long it lasts. Raises Expired."""
        if _Data.model_validate(undo.data).renewed:
            nft.renew(fleet, _links(fleet, undo.data), undo.id, ttl)

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Take the drops away."""
        nft.heal(fleet, _links(fleet, undo.data), undo.id)

    def changes(self, fleet: Fleet, undo: Undo) -> list[Change]:
        """The fault's table goes at every end that has it."""
        table = nft.table_name(undo.id)
        there = [name for name, place in _places(fleet, undo).items() if table in nft.tables(place)]
        return [Change(f"place {name}", f"nft table {table}", "there", None) for name in there]

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """No end has the fault's table, and every path answers again."""
        over = _paths(_links(fleet, undo.data))

        def look() -> str:
            table = nft.table_name(undo.id)
            if left := [name for name, place in _places(fleet, undo).items() if table in nft.tables(place)]:
                raise NotYet(f"table {table} still there at {', '.join(left)}")
            return paths.all_answer(fleet, over)

        return wait_for(f"{undo.kind} {undo.target}", _CONFIRM_REVERTED, look)


def cut_target(fleet: Fleet, name: str, links: dict[str, Link], args: dict[str, Any]) -> Target:
    """The target that stands for some links. Raises FaultError.

    `expires`: seconds that the experiment wants the cut to last at most; else
    it lasts for `lease` seconds and is renewed, or without one for EXPIRES.
    """
    lease = args.get("lease") if args.get("expires") is None else None
    expires = args.get("expires") if lease is None else lease
    if expires is None:
        expires = EXPIRES
    if isinstance(expires, bool) or not isinstance(expires, int | float) or expires <= 0:
        raise FaultError(f"`expires` is a number of seconds above 0, not {expires!r}")
    regions = sorted({member for link in links.values() for member in link.between if member in fleet.regions})
    data = _Data(links=sorted(links), expires=float(expires), renewed=lease is not None)
    return Target(name, data.model_dump(), tuple(regions))


def _links(fleet: Fleet, data: dict[str, Any]) -> list[Link]:
    names = _Data.model_validate(data).links
    if missing := [name for name in names if name not in fleet.links]:
        raise FaultError(
            f"fleet {fleet.fleet!r} has no link {missing[0]!r} any more; name the right file with --fleet"
        )
    return [fleet.links[name] for name in names]


def _places(fleet: Fleet, undo: Undo) -> dict[str, Place]:
    return {place: fleet.places[place] for place in nft.ends_by_place(_links(fleet, undo.data))}


def _paths(links: Iterable[Link]) -> list[ControlPath]:
    return list(dict.fromkeys(path for link in links for path in link.paths))


FAULT = Sever()
