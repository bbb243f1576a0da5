"""What result.json says of restores: each backup, and what became of its objects."""

from __future__ import annotations

from typing import Literal

from blackstart.schema.base import Model


class RestoredKind(Model):
    """Objects of one kind, as Velero names it; see `restores`."""

    kind: str
    proven: int
    missing: int
    differs: int
    unproven: int
    extra: int


class DumpedRows(Model):
    """Rows of a table in a database dump, and how many there must be at least; null: that is not known."""

    table: str
    rows: int
    fewest: int | None


class RestoreResult(Model):
    """One backup that a step restored, and what became of each of its objects.

    `namespaces`: in the backup -> now. `age_s`: how old it was at T0, at
    most. `brought`: how the region came to know it: it was there, Velero
    noticed it, or the step posted what the bucket says. From the step's
    begin: `sync_s` until it was known, `restore_s` until Velero was done,
    `ready_s` until every workload was complete, `serving_s` until every
    service answered; `total_s` all of it. `kinds`: of the objects that must
    be back; `objects` names those that are not proven; `left_out`: those that
    controllers make anew, or the filters leave out. `dump`: the key of the
    database dump that a hook of the backup wrote; `rows`, what is in it.
    """

    step: str
    source: str
    target: str
    namespaces: dict[str, str]
    services: list[str]
    backup: str
    schedule: str
    backup_started: str | None
    age_s: float | None
    brought: Literal["there", "synced", "posted"] | None
    phase: str
    errors: int
    warnings: int
    sync_s: float | None
    restore_s: float | None
    ready_s: float | None
    serving_s: float | None
    total_s: float | None
    kinds: list[RestoredKind]
    objects: list[str]
    left_out: dict[str, int]
    objections: list[str]
    unknown: list[str]
    dump: str = ""
    rows: list[DumpedRows] = []
    answered: list[str]
    problem: str
