"""The bucket of a fleet's backups, as steps ask it."""

from __future__ import annotations

from collections.abc import Callable

from blackstart.fleet.model import Fleet

Fetch = Callable[[Fleet, str], bytes | None]
"""The content of an object by its key below the prefix; None where there is none. Raises FleetError."""

DEADLINE = 20.0
"""Seconds for one object."""


def fetch(fleet: Fleet, key: str) -> bytes | None:
    """From the bucket that fleet.yaml names."""
    from blackstart.fleet import s3  # a third of a second, and most runs restore nothing

    return s3.read(fleet, key, DEADLINE)
