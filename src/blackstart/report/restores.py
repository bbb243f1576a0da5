"""The section of a report about what was restored from backups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blackstart.report.format import DASH, seconds
from blackstart.schema.result import Result
from blackstart.schema.result_restores import RestoredKind, RestoreResult

_BROUGHT = {
    "there": "the region knew it already",
    "synced": "Velero noticed it in the bucket",
    "posted": "not waited for: the step posted what the bucket says of it",
    None: DASH,
}


@dataclass(frozen=True)
class RestoreTable:
    """One restore: its backup, its times, its objects by kind, and what speaks against it."""

    title: str
    backup: str
    age: str
    velero: str
    brought: str
    split: Sequence[tuple[str, str]]
    kinds: Sequence[RestoredKind]
    left_out: str
    against: Sequence[str]
    dump: str
    answered: Sequence[str]
    tone: str
    word: str


def restore_tables(result: Result) -> list[RestoreTable]:
    """One table a restore."""
    return [_table(each) for each in result.restores]


def _dump(each: RestoreResult) -> str:
    """The database dump that belongs to the backup, and what is in it."""
    rows = [
        f"{r.rows:,} rows of {r.table}" + (f" (at least {r.fewest:,})" if r.fewest is not None else "")
        for r in each.rows
    ]
    return f"{each.dump}: {', '.join(rows) or 'not counted'}" if each.dump else ""


def _table(each: RestoreResult) -> RestoreTable:
    bad = bool(each.problem or each.objections or any(k.missing or k.differs for k in each.kinds))
    unsure = bool(each.unknown or any(k.unproven for k in each.kinds) or not each.kinds)
    tone, word = ("bad", "not proven") if bad else ("unsure", "not all proven") if unsure else ("good", "proven")
    moved = ", ".join(old if old == new else f"{old} as {new}" for old, new in each.namespaces.items())
    by = f"schedule {each.schedule}" if each.schedule else "no schedule"
    words = [each.problem, *each.objections, *each.objects, *each.unknown]
    return RestoreTable(
        title=f"{moved}, from {each.source} into {each.target}",
        backup=f"{each.backup or 'none'} ({by}), begun {each.backup_started or 'at an unknown time'}",
        age=f"{seconds(each.age_s)} before T0" if each.age_s is not None else "not known",
        velero=f"{each.phase or 'did not come to it'}, {each.errors} errors, {each.warnings} warnings",
        brought=_BROUGHT[each.brought],
        split=[
            ("Known to the region", seconds(each.sync_s)),
            ("Restored by Velero", seconds(each.restore_s)),
            ("Workloads ready", seconds(each.ready_s)),
            ("Services answer", seconds(each.serving_s)),
            ("In all", seconds(each.total_s)),
        ],
        kinds=each.kinds,
        left_out=", ".join(f"{count} {kind}" for kind, count in sorted(each.left_out.items())),
        against=list(dict.fromkeys(text for text in words if text)),
        dump=_dump(each),
        answered=each.answered,
        tone=tone,
        word=word,
    )
