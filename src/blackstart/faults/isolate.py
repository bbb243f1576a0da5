"""Cuts a region off: all its links at once."""

from __future__ import annotations

from typing import Any

from blackstart.faults import roles
from blackstart.faults.base import FaultError, Target
from blackstart.faults.sever import Sever, cut_target
from blackstart.fleet.model import Fleet


class Isolate(Sever):
    """Every link that ends at a region."""

    kind = "isolate"

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`region` by role; `expires` and `lease` as for `lasting`."""
        region = roles.region(fleet, args["region"])
        links = fleet.links_of(region)
        if not links:
            raise FaultError(f"fleet {fleet.fleet!r}: region {region!r} has no links; see `links`")
        return [cut_target(fleet, region, links, args)]


FAULT = Isolate()
