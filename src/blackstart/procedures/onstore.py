"""Steps that move the primary of a store, or bring one of its servers back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from blackstart.fleet.model import Fleet
from blackstart.procedures.base import By, Deadline, Work
from blackstart.procedures.moves import store_needs
from blackstart.procedures.site import Site, site_of
from blackstart.schema.procedure import Step


@dataclass
class OnStore:
    """A step about one server of one store: `move` gets its site and region.

    Its own deadline is the only thing that ends it: it would be left half done.
    """

    kind: str
    move: Callable[[Site, str, Step], str]
    by: By = "machine"

    def run(self, work: Work, step: Step, deadline: Deadline) -> str:
        """See `blackstart.procedures.moves`."""
        store, region = step.on or ("", "")
        site, where = site_of(work, store, region, deadline)
        return self.move(site, where, step)

    def needs(self, fleet: Fleet, step: Step) -> list[str]:
        """Grants, and ConfigMaps."""
        return store_needs(fleet, step)
