"""Lets an old primary follow the new one, where that discards nothing."""

from __future__ import annotations

from blackstart.fleet.model import Fleet
from blackstart.procedures.base import By, Deadline, Kind, Work
from blackstart.procedures.moves import rejoin, store_needs
from blackstart.procedures.site import site_of
from blackstart.schema.procedure import Rejoin, Step


class RunRejoin:
    """Its own deadline is the only thing that ends it: it would be left half done."""

    kind = "rejoin"
    by: By = "machine"

    def run(self, work: Work, step: Step, deadline: Deadline) -> str:
        """See `blackstart.procedures.moves`."""
        wanted = step.rejoin
        assert isinstance(wanted, Rejoin)  # noqa: S101 - the kind of a step says so
        site, region = site_of(work, wanted.store, wanted.region, deadline)
        return rejoin(site, region, may_rebuild=wanted.diverged == "rebuild")

    def needs(self, fleet: Fleet, step: Step) -> list[str]:
        """Grants, and ConfigMaps."""
        return store_needs(fleet, step)


STEP: Kind = RunRejoin()
