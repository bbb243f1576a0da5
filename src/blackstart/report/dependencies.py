"""Who still tried to get through what was broken, for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blackstart.report.format import DASH, seconds
from blackstart.schema.result import Dependencies, Dependency

SHOWN = 50
"""Most rows that the report shows; all of them are in result.json."""

_KINDS = {"gateway": "mesh gateway", "node": "a node itself", "place": "outside the regions", "unknown": "not known"}


@dataclass(frozen=True)
class DependencyRow:
    """One row."""

    source: str
    source_detail: str
    destination: str
    destination_detail: str
    attempts: int
    last: str
    by: str


@dataclass(frozen=True)
class DependencyTable:
    """The rows, how many more there are, and what to say when there is none."""

    rows: Sequence[DependencyRow]
    more: int
    nothing: str
    counted: Sequence[str]
    not_counted: Sequence[str]
    unnamed: Sequence[str]
    own: int


def dependency_table(found: Dependencies | None) -> DependencyTable:
    """The table; nothing counted and not counted are never the same words."""
    if found is None:
        return DependencyTable((), 0, "This result does not say.", (), (), (), 0)
    nothing = "Nobody tried, where it was counted." if found.counted else "Not counted."
    return DependencyTable(
        rows=[_row(dependency) for dependency in found.found[:SHOWN]],
        more=max(0, len(found.found) - SHOWN),
        nothing="" if found.found else nothing,
        counted=found.counted,
        not_counted=found.not_counted,
        unnamed=found.unnamed,
        own=found.own,
    )


def _row(found: Dependency) -> DependencyRow:
    what = [_KINDS.get(found.source_kind, ""), found.source_address, found.detail]
    return DependencyRow(
        source=_at(found.source, found.source_region),
        source_detail="; ".join(part for part in what if part and part != found.source),
        destination=_at(found.destination, found.destination_region),
        destination_detail=found.destination_address if found.destination_address != found.destination else "",
        attempts=found.attempts,
        last=DASH if found.last_s is None else seconds(found.last_s),
        by={"nft": "the cut", "envoy": "Envoy"}[found.counted_by],
    )


def _at(name: str, region: str | None) -> str:
    return f"{name} in {region}" if region else name
