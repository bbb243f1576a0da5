"""Makes the replica of a region the primary; the old one may be dead, and is fenced where it answers."""

from __future__ import annotations

from blackstart.fleet.model import Fleet
from blackstart.procedures.base import By, Deadline, Kind, Work
from blackstart.procedures.moves import promote, store_needs
from blackstart.procedures.site import site_of
from blackstart.schema.procedure import Promote, Step


class RunPromote:
    """Its own deadline is the only thing that ends it: it would be left half done."""

    kind = "promote"
    by: By = "machine"

    def run(self, work: Work, step: Step, deadline: Deadline) -> str:
        """See `blackstart.procedures.moves`."""
        wanted = step.promote
        assert isinstance(wanted, Promote)  # noqa: S101 - the kind of a step says so
        site, region = site_of(work, wanted.store, wanted.to, deadline)
        return promote(site, region)

    def needs(self, fleet: Fleet, step: Step) -> list[str]:
        """Grants, and ConfigMaps."""
        return store_needs(fleet, step)


STEP: Kind = RunPromote()
