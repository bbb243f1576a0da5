"""Velero's objects in a cluster, and where it keeps its files in a bucket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from blackstart.fleet.objects import Object, Ref

BACKUPS, RESTORES = "velero.io/v1/backups", "velero.io/v1/restores"
SCHEDULE_LABEL, LOCATION_LABEL = "velero.io/schedule-name", "velero.io/storage-location"
FINALIZERS = ("restores.velero.io/external-resources-finalizer",)

BACKUP_ENDS = ("Completed", "PartiallyFailed", "Failed", "FailedValidation")
RESTORE_ENDS = BACKUP_ENDS


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


def contents_key(prefix: str, backup: str) -> str:
    """The tarball of a backup."""
    return _under(prefix, f"backups/{backup}/{backup}.tar.gz")


def metadata_key(prefix: str, backup: str) -> str:
    """The object of a backup."""
    return _under(prefix, f"backups/{backup}/velero-backup.json")


def backups_prefix(prefix: str) -> str:
    """Below which every backup has its folder."""
    return _under(prefix, "backups/")


def list_key(prefix: str, restore: str) -> str:
    """What became of each object of a restore."""
    return _under(prefix, f"restores/{restore}/restore-{restore}-resource-list.json.gz")


def results_key(prefix: str, restore: str) -> str:
    """The errors and warnings of a restore."""
    return _under(prefix, f"restores/{restore}/restore-{restore}-results.gz")


def _under(prefix: str, path: str) -> str:
    return f"{prefix.strip('/')}/{path}" if prefix.strip("/") else path


def restore_ref(namespace: str, name: str) -> Ref:
    """A Restore."""
    return Ref(RESTORES, namespace, name)


def backup_ref(namespace: str, name: str) -> Ref:
    """A Backup."""
    return Ref(BACKUPS, namespace, name)
