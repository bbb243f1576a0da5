"""Backups of a fleet: each region's Velero, the bucket in which its backups lie, and that of database dumps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from blackstart.fleet.switch import Power
from blackstart.schema.base import Model
from blackstart.schema.secret import Secret


class Velero(Model):
    """Velero in a region: its namespace, and the BackupStorageLocation that stands for the fleet's bucket.

    `power`: how its server is killed by itself, where it is a process.
    """

    namespace: str = "velero"
    location: str = "default"
    power: Power | None = None


@dataclass(frozen=True)
class Listing:
    """An object as a list of a bucket has it; `key` without the bucket's prefix, `written` by the server's clock."""

    key: str
    written: datetime
    size: int


class Bucket(Model):
    """An S3-compatible bucket: `bucket` at `url`, asked from `place`, read only.

    `prefix`: of all keys; for backups, that of the BackupStorageLocations.
    `region` is the region that it is lost with; without it, it lies outside
    all of them.
    """

    url: str = Field(pattern=r"^https?://[^\s/]+$")
    place: str
    bucket: str = Field(min_length=1)
    prefix: str = ""
    access_key: Secret
    secret_key: Secret
    region: str | None = None
    power: Power | None = None
