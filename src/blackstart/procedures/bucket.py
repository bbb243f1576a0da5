"""The bucket of a fleet's backups, as steps ask it."""

from __future__ import annotations

from typing import Protocol

from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet


class Bucket(Protocol):
    """What is asked of a bucket."""

    def get(self, key: str) -> bytes | None:
        """The content of an object; None where there is none. Raises FleetError."""

    def keys(self, prefix: str) -> list[str]:
        """The keys that begin so. Raises FleetError."""


def open_bucket(fleet: Fleet) -> Bucket:
    """The bucket that fleet.yaml names. Raises FleetError."""
    raise FleetError(f"fleet {fleet.fleet!r} has no `backups`; say where the bucket of its backups is")
