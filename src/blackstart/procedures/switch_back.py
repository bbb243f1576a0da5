"""Moves the primary as planned, writers on, without loss; who was it follows."""

from __future__ import annotations

from blackstart.fleet.model import Fleet
from blackstart.procedures.base import By, Deadline, Kind, Work
from blackstart.procedures.moves import store_needs, switch_back
from blackstart.procedures.site import site_of
from blackstart.schema.procedure import Step, SwitchBack


class RunSwitchBack:
    """Its own deadline is the only thing that ends it: it would be left half done."""

    kind = "switch_back"
    by: By = "machine"

    def run(self, work: Work, step: Step, deadline: Deadline) -> str:
        """See `blackstart.procedures.moves`."""
        wanted = step.switch_back
        assert isinstance(wanted, SwitchBack)  # noqa: S101 - the kind of a step says so
        site, region = site_of(work, wanted.store, wanted.to, deadline)
        return switch_back(site, region)

    def needs(self, fleet: Fleet, step: Step) -> list[str]:
        """Grants, and ConfigMaps."""
        return store_needs(fleet, step)


STEP: Kind = RunSwitchBack()
