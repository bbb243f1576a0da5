"""Velero's objects in a cluster, and the names of its files in a bucket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from blackstart.fleet.objects import Object, Ref

BACKUPS, RESTORES = "velero.io/v1/backups", "velero.io/v1/restores"
LOCATIONS = "velero.io/v1/backupstoragelocations"
SCHEDULE_LABEL, LOCATION_LABEL = "velero.io/schedule-name", "velero.io/storage-location"

ENDS = ("Completed", "PartiallyFailed", "Failed", "FailedValidation")
"""The phases in which nothing more happens to a Backup or a Restore."""


@dataclass(frozen=True)
class Backup:
    """A backup as its object says. `started`: UTC, whole seconds; `namespaces`: empty for all of them."""

    name: str
    phase: str
    started: datetime | None
    schedule: str
    run: str
    namespaces: frozenset[str]
    raw: Object

    def holds(self, namespaces: Iterable[str]) -> bool:
        """Whether all of these are among its namespaces."""
        return not self.namespaces or "*" in self.namespaces or self.namespaces.issuperset(namespaces)


def backup_of(raw: Object, run_label: str) -> Backup:
    """An object `Backup`, from the API or from a bucket."""
    meta, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    labels = meta.get("labels") or {}
    return Backup(
        name=meta["name"],
        phase=str(status.get("phase") or "New"),
        started=moment(status.get("startTimestamp")),
        schedule=str(labels.get(SCHEDULE_LABEL) or ""),
        run=str(labels.get(run_label) or ""),
        namespaces=frozenset(spec.get("includedNamespaces") or []),
        raw=raw,
    )


def moment(text: object) -> datetime | None:
    """A time as Kubernetes writes it; None where there is none, or nonsense."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None
    except ValueError:
        return None


def contents_key(backup: str) -> str:
    """The tarball of a backup, below the prefix of its location."""
    return f"backups/{backup}/{backup}.tar.gz"


def metadata_key(backup: str) -> str:
    """The object of a backup."""
    return f"backups/{backup}/velero-backup.json"


def list_key(restore: str) -> str:
    """What became of each object of a restore."""
    return f"restores/{restore}/restore-{restore}-resource-list.json.gz"


def results_key(restore: str) -> str:
    """The errors and warnings of a restore."""
    return f"restores/{restore}/restore-{restore}-results.gz"


def restore_ref(namespace: str, name: str) -> Ref:
    """A Restore."""
    return Ref(RESTORES, namespace, name)


def backup_ref(namespace: str, name: str) -> Ref:
    """A Backup."""
    return Ref(BACKUPS, namespace, name)
