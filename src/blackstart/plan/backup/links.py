"""The pages of Velero's documentation that rules point to."""

from __future__ import annotations

_VELERO = "https://velero.io/docs/main"

BACKUP = f"{_VELERO}/backup-reference/"
CSI = f"{_VELERO}/csi-snapshot-data-movement/"
DISASTER = f"{_VELERO}/disaster-case/"
FILES = f"{_VELERO}/file-system-backup/"
FILTER = f"{_VELERO}/resource-filtering/"
HOOKS = f"{_VELERO}/backup-hooks/"
HOW = f"{_VELERO}/how-velero-works/"
LOCATIONS = f"{_VELERO}/locations/"
LOCATION = f"{_VELERO}/api-types/backupstoragelocation/"
MIGRATION = f"{_VELERO}/migration-case/"
RESTORE = f"{_VELERO}/restore-reference/"
SCHEDULE = f"{_VELERO}/api-types/schedule/"
TROUBLE = f"{_VELERO}/debugging-restores/"
