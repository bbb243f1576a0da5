"""The buckets of a fleet, as steps ask them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from blackstart.fleet.backups import Bucket, Listing
from blackstart.fleet.model import Fleet

DEADLINE = 20.0
"""Seconds for one object, or a list."""


class Buckets(Protocol):
    """Where steps read. Keys are those below a bucket's prefix. Every method raises FleetError."""

    def fetch(self, fleet: Fleet, key: str) -> bytes | None:
        """An object of the backups' bucket; None where there is none."""

    def listing(self, fleet: Fleet, bucket: Bucket, prefix: str) -> list[Listing]:
        """The objects whose key begins so."""

    def opened(
        self, fleet: Fleet, bucket: Bucket, key: str, deadline: float
    ) -> AbstractContextManager[Iterator[bytes]]:
        """An object of any length, piece by piece, within `deadline` seconds."""


class S3:
    """Those that fleet.yaml names. The client takes a third of a second to import, and most runs restore nothing."""

    def fetch(self, fleet: Fleet, key: str) -> bytes | None:
        """See Buckets."""
        from blackstart.fleet import s3

        return s3.read(fleet, key, DEADLINE)

    def listing(self, fleet: Fleet, bucket: Bucket, prefix: str) -> list[Listing]:
        """See Buckets."""
        from blackstart.fleet import s3

        return s3.listing(fleet, bucket, prefix, DEADLINE)

    def opened(
        self, fleet: Fleet, bucket: Bucket, key: str, deadline: float
    ) -> AbstractContextManager[Iterator[bytes]]:
        """See Buckets."""
        from blackstart.fleet import s3

        return s3.opened(fleet, bucket, key, deadline)
