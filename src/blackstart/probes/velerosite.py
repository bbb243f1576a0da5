"""A region's Velero and the bucket, asked within the time that a look has."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from blackstart.evidence.records import Reason
from blackstart.fleet import s3
from blackstart.fleet.backups import Velero
from blackstart.probes import backups
from blackstart.probes.backups import Backup, newest_first
from blackstart.probes.base import NoData, Scope
from blackstart.probes.kubernetes import get_object, object_path
from blackstart.schema.secret import SecretError

_AHEAD = -60.0
"""Seconds: a start further in the future than this is a wrong clock."""


@dataclass(frozen=True)
class Site:
    """A region's Velero during one look: until `ends` (monotonic), and as of `now`. Every method raises NoData."""

    scope: Scope
    region: str
    ends: float
    now: datetime

    @property
    def left(self) -> float:
        """Seconds."""
        return max(self.ends - time.monotonic(), 0.001)

    @property
    def velero(self) -> Velero:
        found = self.scope.fleet.regions[self.region].velero
        if found is None:
            raise NoData(Reason.MALFORMED, f"region {self.region!r} has no `velero` in fleet.yaml")
        return found

    def at(self, region: str) -> Site:
        """The same look at another region."""
        return replace(self, region=region)

    def get(self, plural: str, name: str = "", labels: str = "") -> Any:
        """One of Velero's objects, or without a name a list of them."""
        path = object_path(f"velero.io/v1/{plural}", self.velero.namespace, name).rstrip("/")
        query = f"?labelSelector={quote(labels)}" if labels else ""
        return get_object(self.scope.fleet.regions[self.region].cluster, path + query, self.left)

    def backups(self, schedule: str | None, namespace: str | None) -> list[Backup]:
        """Those in the fleet's location, of a schedule or with a namespace in them where asked for; newest first."""
        found = self.get("backups", labels=f"{backups.SCHEDULE}={schedule}" if schedule else "")
        items = found.get("items") if isinstance(found, dict) else None
        if not isinstance(items, list):
            raise NoData(Reason.MALFORMED, "not a list of Backups")
        known = [backups.backup(item) for item in items]
        here = [b for b in known if b.location in ("", self.velero.location)]
        return newest_first(b for b in here if namespace is None or b.holds(namespace))

    def age(self, since: datetime, what: str) -> float:
        """Seconds, by this machine's clock."""
        seconds = (self.now - since).total_seconds()
        if seconds < _AHEAD:
            raise NoData(Reason.MALFORMED, f"{what} lies {-seconds:.0f} s ahead: the clocks differ")
        return max(seconds, 0.0)

    @staticmethod
    def ask[T](work: Callable[[], T]) -> T:
        """What `work` asks of the bucket."""
        try:
            return work()
        except SecretError as error:
            raise NoData(Reason.UNAUTHORISED, str(error)) from None
        except s3.S3Error as error:
            raise NoData(Reason(error.kind), str(error)) from None
