"""What Velero's objects say: backups, locations, and which of the backups could be restored. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from blackstart.evidence.records import Reason
from blackstart.probes.base import NoData

SCHEDULE = "velero.io/schedule-name"
_OVER = ("Completed", "PartiallyFailed", "Failed", "FailedValidation", "Deleting")

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Backup:
    """A Backup. Velero omits counters that are zero. `started`: what counts for an age, not when it ended.

    `created` is when this cluster learnt of it: in another region than its
    own, when it was synced.
    """

    name: str
    phase: str
    created: datetime
    started: datetime | None
    expires: datetime | None
    items: int
    errors: int
    warnings: int
    location: str
    schedule: str
    namespaces: tuple[str, ...]
    excluded: tuple[str, ...]

    @property
    def over(self) -> bool:
        """Whether it ended, well or not."""
        return self.phase in _OVER

    @property
    def at(self) -> datetime:
        """Its start; one that never started stands where it was asked for."""
        return self.started or self.created

    def holds(self, namespace: str) -> bool:
        """Whether it was to include a namespace."""
        wanted = not self.namespaces or any(fnmatchcase(namespace, pattern) for pattern in self.namespaces)
        return wanted and not any(fnmatchcase(namespace, pattern) for pattern in self.excluded)

    def unfit(self, now: datetime, least: int) -> str:
        """Why nothing should be restored from it, by what it says itself; empty when nothing speaks against it."""
        if self.phase != "Completed":
            return self.phase
        if self.errors:
            return f"{self.errors} errors"
        if self.items < least:
            return f"it has {self.items} items, and {least} are the least"
        if self.started is None:
            return "it does not say when it started"
        return "it has expired" if self.expires is not None and self.expires <= now else ""


@dataclass(frozen=True)
class Location:
    """A BackupStorageLocation. It goes on to say Available while its bucket does not answer at all."""

    phase: str
    message: str
    validated: datetime | None


def backup(obj: Object) -> Backup:
    """Raises NoData for what is no Backup."""
    try:
        meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
        return Backup(
            name=str(meta["name"]),
            phase=str(status.get("phase") or "New"),
            created=_time(meta["creationTimestamp"]),
            started=_maybe(status.get("startTimestamp")),
            expires=_maybe(status.get("expiration")),
            items=int((status.get("progress") or {}).get("itemsBackedUp") or 0),
            errors=int(status.get("errors") or 0),
            warnings=int(status.get("warnings") or 0),
            location=str(spec.get("storageLocation") or ""),
            schedule=str((meta.get("labels") or {}).get(SCHEDULE) or ""),
            namespaces=tuple(spec.get("includedNamespaces") or ()),
            excluded=tuple(spec.get("excludedNamespaces") or ()),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoData(Reason.MALFORMED, f"not a Backup of Velero: {error!r}") from None


def location(obj: Object) -> Location:
    """Raises NoData for what is no BackupStorageLocation."""
    try:
        status = obj.get("status") or {}
        validated = _maybe(status.get("lastValidationTime"))
        return Location(str(status.get("phase") or ""), str(status.get("message") or ""), validated)
    except (TypeError, ValueError, AttributeError) as error:
        raise NoData(Reason.MALFORMED, f"not a BackupStorageLocation of Velero: {error!r}") from None


def newest_first(backups: Iterable[Backup]) -> list[Backup]:
    """By their starts."""
    return sorted(backups, key=lambda b: (b.at, b.name), reverse=True)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} is a time without a zone")
    return found


def _maybe(text: str | None) -> datetime | None:
    return _time(text) if text else None
