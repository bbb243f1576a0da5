"""What went wrong while talking to a part of the fleet."""

from __future__ import annotations

from blackstart.schema.errors import BlackstartError


class FleetError(BlackstartError):
    """A part of the fleet did not do what it was asked."""
