"""The bucket of a fleet's backups, read only: what a backup says and holds, what Velero says of a restore.

Keys are those below the prefix of the backup locations.
"""

from __future__ import annotations

from dataclasses import dataclass

from blackstart.fleet.errors import FleetError
from blackstart.fleet.lease import RUN_LABEL
from blackstart.fleet.model import Fleet
from blackstart.fleet.velero import Backup, backup_of, contents_key, list_key, metadata_key, results_key
from blackstart.procedures.archive import Damaged, Kept, Listed, Said, contents, listed, metadata, said
from blackstart.procedures.base import StepError
from blackstart.procedures.bucket import Buckets


@dataclass(frozen=True)
class Vault:
    """The bucket. Every method raises StepError."""

    fleet: Fleet
    buckets: Buckets

    def backup(self, name: str) -> Backup:
        """A backup, as it describes itself."""
        key = metadata_key(name)
        try:
            return backup_of(metadata(self._get(key, f"backup {name!r}")), RUN_LABEL)
        except Damaged as error:
            raise StepError(f"{key}: {error}") from error

    def contents(self, backup: str) -> list[Kept]:
        """Every object of a backup."""
        key = contents_key(backup)
        try:
            return contents(self._get(key, f"the tarball of backup {backup!r}"))
        except Damaged as error:
            raise StepError(f"{key} in the bucket {error}: this backup cannot be restored; take another") from error

    def told(self, restore: str) -> tuple[list[Listed], Said]:
        """Velero's own list and words about a restore."""
        try:
            lines = listed(self._get(key := list_key(restore), "Velero's list of the restore"))
            words = said(self._get(key := results_key(restore), "Velero's result of the restore"))
        except Damaged as error:
            raise StepError(f"{key}: {error}") from error
        return lines, words

    def _get(self, key: str, what: str) -> bytes:
        try:
            found = self.buckets.fetch(self.fleet, key)
        except FleetError as error:
            raise StepError(f"the bucket of the backups does not say: {error}") from error
        if found is None:
            raise StepError(f"{what} is not in the bucket: there is no {key}")
        return found
