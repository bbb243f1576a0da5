"""The section on writes: what was acknowledged, what is missing, and what is known of each that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from blackstart.report.format import DASH, plain, seconds
from blackstart.schema.result import Result
from blackstart.schema.result_writes import LostWriteResult, StoreWrites

SHOWN = 50
"""Lost writes in a table; the rest are in result.json (at most 200) and counted."""


@dataclass(frozen=True)
class WriteRow:
    """One record of one member at one moment."""

    where: str
    moment: str
    member: str
    tone: str
    word: str
    cells: tuple[str, ...]
    detail: str


@dataclass(frozen=True)
class LostTable:
    """The lost writes of one record at one moment: when acknowledged, by whom, replication then."""

    title: str
    rows: list[tuple[str, str, str, str]]
    left_out: int


def write_rows(result: Result) -> list[WriteRow]:
    """One row a read, in the order of the run."""
    return [_row(read) for read in result.writes]


def _row(r: StoreWrites) -> WriteRow:
    tone, word = _state(r)
    counts = (r.lost, r.recovered, r.duplicated, r.phantom, r.reordered)
    cells = (plain(r.acknowledged), *(map(plain, counts)), seconds(r.rpo_s) if r.rpo_s is not None else DASH)
    if r.no_data:
        cells = (DASH,) * 7
    return WriteRow(f"{r.store}/{r.record}", f"after {r.moment}", r.member, tone, word, cells, _detail(r))


def _state(r: StoreWrites) -> tuple[str, str]:
    if r.no_data:
        return "unsure", "not read"
    if not r.writable:
        return "unsure", "replica"
    if not r.acknowledged:
        return "unsure", "nothing written"
    if r.awaited and r.lost:
        return "unsure", "on its way"
    return ("bad", "lost") if r.lost else ("good", "all there")


def _detail(r: StoreWrites) -> str:
    if r.no_data:
        return f"{r.no_data}: {r.detail}" if r.detail else r.no_data
    parts = []
    if r.lost_at_most is not None:
        parts.append(f"none of {r.acknowledged}: with 95 % confidence at most {r.lost_at_most:.2g} of all are lost")
    if r.gaps:
        parts.append(f"{r.gaps} of the lost have a later write of the same writer behind them")
    if r.new != r.lost and r.moment == "failback":
        parts.append(f"{r.new} lost since the failover")
    return "; ".join([*parts, f"{r.indeterminate} indeterminate, {r.failed} refused", r.server])


def lost_tables(result: Result) -> list[LostTable]:
    """One table for each read with losses at a member that takes writes."""
    return [
        LostTable(
            title=f"{r.store}/{r.record} at {r.member}, after {r.moment}: {r.lost} lost",
            rows=list(_lost(r.lost_writes[:SHOWN])),
            left_out=r.lost - min(SHOWN, len(r.lost_writes)),
        )
        for r in result.writes
        if r.lost_writes
    ]


def _lost(writes: list[LostWriteResult]) -> Iterator[tuple[str, str, str, str]]:
    for write in writes:
        t = write.acknowledged_s
        yield write.id, f"{t:+.3f} s", write.by or DASH, write.replication or "no reading"
