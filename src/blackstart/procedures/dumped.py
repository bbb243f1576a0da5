"""The database dump that belongs to a backup: which one it is, what is in it, what must be in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from blackstart.evidence.restores import Rows
from blackstart.fleet.backups import Listing
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet
from blackstart.fleet.velero import Backup, moment
from blackstart.procedures.archive import Damaged
from blackstart.procedures.base import Work
from blackstart.procedures.sqldump import Dumped, count
from blackstart.schema.restore import Dump, Restore

SLACK = timedelta(seconds=5)
"""By how much the clocks of a cluster and of an S3 server may differ."""

_ASK = 5.0


@dataclass(frozen=True)
class Told:
    """The key of the dump, the rows of each table, what speaks against it, what is not known of it."""

    key: str = ""
    rows: dict[str, Rows] = field(default_factory=dict)
    objections: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def rows_at_home(fleet: Fleet, wanted: Restore) -> dict[tuple[str, str], int]:
    """How many rows the tables have of which a fresh backup will have a dump, by region and DATABASE.TABLE.

    Raises FleetError.
    """
    dump = wanted.dump
    if dump is None or dump.store is None or wanted.backup != "fresh":
        return {}
    from blackstart.fleet import sql  # a tenth of a second, and most runs count no dump

    source = fleet.roles.get(wanted.source, wanted.source)
    store = fleet.stores[fleet.roles.get(dump.store, dump.store)]
    with sql.connect(fleet, store, store.members[source], store.reader, _ASK) as session:
        return {
            (source, table): int(session.row(f"SELECT COUNT(*) AS n FROM {_quoted(table)}")["n"])  # noqa: S608 - quoted
            for table in dump.tables
        }


def counted(work: Work, wanted: Dump, source: str, backup: Backup, deadline: float) -> Told:
    """Find the dump, and count it. Never raises: what cannot be read speaks against it."""
    bucket = work.fleet.dumps
    if bucket is None:
        return Told(objections=[f"fleet {work.fleet.fleet!r} has no `dumps`; say where hooks write database dumps"])
    key = ""
    try:
        there = work.buckets.listing(work.fleet, bucket, wanted.prefix)
        mine = written_during(there, backup)
        if mine is None:
            return Told(objections=[_none(there, wanted.prefix, backup)])
        key = mine.key
        with work.buckets.opened(work.fleet, bucket, key, deadline) as chunks:
            try:
                found = count(chunks)
            except Damaged as error:  # here: further out the client takes it for its own
                return Told(key, objections=[f"dump {key} cannot be read: {error}"])
    except FleetError as error:
        return Told(key, objections=[f"dump {key or wanted.prefix + '*'} cannot be read: {error}"])
    before = {table: work.rows.get((source, table)) for table in wanted.tables}
    return compared(key, found, wanted, before, fresh=bool(wanted.store))


def written_during(there: list[Listing], backup: Backup) -> Listing | None:
    """The newest object that was written while a backup was taken."""
    ended = moment((backup.raw.get("status") or {}).get("completionTimestamp"))
    if backup.started is None or ended is None:
        return None
    mine = [each for each in there if backup.started - SLACK <= each.written <= ended + SLACK]
    return max(mine, key=lambda each: each.written, default=None)


def compared(key: str, found: Dumped, wanted: Dump, before: Mapping[str, int | None], *, fresh: bool) -> Told:
    """What is in a dump against what must be: `before`, the rows that there were before a fresh backup. Pure."""
    told = Told(key)
    if not found.whole:
        told.objections.append(f"dump {key} does not say that it was completed")
    for table, least in wanted.tables.items():
        known = before.get(table)
        fewest = max(least, known or 0) if known is not None or not fresh else None
        rows = found.of(table) or 0
        told.rows[table] = Rows(found=rows, fewest=fewest)
        if rows < least:
            told.objections.append(f"dump {key} has {rows} rows of {table}; the drill wants {least}")
        elif known is not None and rows < known:
            told.objections.append(f"dump {key} has {rows} rows of {table}; there were {known} before the backup")
        elif fewest is None:
            told.unknown.append(f"{table}: how many rows it had before the backup is not known")
    return told


def _none(there: list[Listing], prefix: str, backup: Backup) -> str:
    newest: datetime | None = max((each.written for each in there), default=None)
    last = f"the newest was written at {newest:%Y-%m-%dT%H:%M:%SZ}" if newest else "there is none at all"
    return f"no dump {prefix}* was written while backup {backup.name} was taken ({last}): did its hook run?"


def _quoted(table: str) -> str:
    """The schema lets nothing through that would end the quotes."""
    return ".".join(f"`{part}`" for part in table.split("."))
