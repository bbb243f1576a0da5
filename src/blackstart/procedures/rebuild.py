"""Salvages what only one server has, and fills it anew from the primary."""

from __future__ import annotations

from blackstart.fleet.model import Fleet
from blackstart.procedures.base import By, Deadline, Kind, Work
from blackstart.procedures.moves import rebuild, store_needs
from blackstart.procedures.site import site_of
from blackstart.schema.procedure import Rebuild, Step


class RunRebuild:
    """Its own deadline is the only thing that ends it: it would be left half done."""

    kind = "rebuild"
    by: By = "machine"

    def run(self, work: Work, step: Step, deadline: Deadline) -> str:
        """See `blackstart.procedures.moves`."""
        wanted = step.rebuild
        assert isinstance(wanted, Rebuild)  # noqa: S101 - the kind of a step says so
        site, region = site_of(work, wanted.store, wanted.region, deadline)
        return rebuild(site, region)

    def needs(self, fleet: Fleet, step: Step) -> list[str]:
        """Grants, and ConfigMaps."""
        return store_needs(fleet, step)


STEP: Kind = RunRebuild()
