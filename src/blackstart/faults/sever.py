"""Cuts links: every packet is dropped at both ends, silently, until healed or expired."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import roles
from blackstart.faults.base import FaultError, Target
from blackstart.faults.dropping import EXPIRES, Dropping, Lasting, lasting
from blackstart.fleet import nft
from blackstart.fleet.model import ControlPath, Fleet, Link

__all__ = ["EXPIRES", "FAULT", "Sever", "cut_target"]


class _Data(Lasting):
    links: list[str]


class Sever(Dropping):
    """The links between two members, or, as `Isolate`, all links of one."""

    kind = "sever"

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`link`: its two ends, roles, regions or places; `expires` and `lease` as for `lasting`."""
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

    def drops(self, fleet: Fleet, data: dict[str, Any]) -> nft.Drops:
        """Whatever comes in at either end of each link."""
        return nft.of_links(_links(fleet, data))

    def over(self, fleet: Fleet, undo: Undo) -> list[ControlPath]:
        """Every path over the links."""
        return _paths(_links(fleet, undo.data))


def cut_target(fleet: Fleet, name: str, links: dict[str, Link], args: dict[str, Any]) -> Target:
    """The target that stands for some links. Raises FaultError."""
    regions = sorted({member for link in links.values() for member in link.between if member in fleet.regions})
    data = _Data(links=sorted(links), **lasting(args))
    return Target(name, data.model_dump(), tuple(regions))


def _links(fleet: Fleet, data: dict[str, Any]) -> list[Link]:
    names = _Data.model_validate(data).links
    if missing := [name for name in names if name not in fleet.links]:
        raise FaultError(
            f"fleet {fleet.fleet!r} has no link {missing[0]!r} any more; name the right file with --fleet"
        )
    return [fleet.links[name] for name in names]


def _paths(links: Iterable[Link]) -> list[ControlPath]:
    return list(dict.fromkeys(path for link in links for path in link.paths))


FAULT = Sever()
