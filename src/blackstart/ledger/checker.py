"""Which acknowledged writes survived: a pure function of what was meant and what a store holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from blackstart.ledger.records import Write


@dataclass(frozen=True)
class Findings:
    """What became of the writes of one run in one store.

    lost: acknowledged and absent, oldest acknowledgement first. recovered:
    indeterminate and present, which is legal. duplicated: ids present more
    than once. phantom: ids present that were never meant, or that the service
    said were not written. reordered: acknowledged writes that stand after a
    later one of the same writer. gaps: lost writes with a surviving later one
    of the same writer: holes, not a tail that was cut off. newest: when the
    newest acknowledged write that is there was acknowledged.
    """

    acknowledged: int
    failed: int
    indeterminate: int
    present: int
    lost: Sequence[Write]
    recovered: int
    duplicated: Sequence[str]
    phantom: Sequence[str]
    reordered: Sequence[str]
    gaps: int
    newest: float | None


def check(writes: Sequence[Write], survivors: Sequence[str], *, ordered: bool = False) -> Findings:
    """Compare the writes of a run, each writer's in their order, with the ids that a store holds.

    With `ordered` those are in the order of commit. A write that was
    indeterminate may be there or not, and where it is, it may have got there
    late: it is never reordered. One that was acknowledged was so before the
    next one of its writer was sent.
    """
    last = len(survivors) - 1
    # Where each id stands first: the last to be put into the dictionary wins.
    places = dict(zip(reversed(survivors), range(last, -1, -1), strict=True))
    fates = _Fates()
    fates.tell(writes, places)
    counts = Counter(map(itemgetter(Write._fields.index("result")), writes))
    return Findings(
        acknowledged=counts["ok"],
        failed=counts["failed"],
        indeterminate=counts["indeterminate"],
        present=len(places),
        lost=sorted(fates.lost, key=acknowledged_at),
        recovered=fates.recovered,
        duplicated=[name for name, n in Counter(survivors).items() if n > 1] if len(places) <= last else [],
        phantom=_phantom(writes, places, fates),
        reordered=fates.reordered[::-1] if ordered else [],
        gaps=fates.gaps,
        newest=fates.newest,
    )


def acknowledged_at(write: Write) -> float:
    """When a write was acknowledged, monotonic seconds."""
    return write.sent if write.answered is None else write.answered


@dataclass
class _Fates:
    """One pass over the writes, from the last to the first: a million are checked between two phases of a drill."""

    lost: list[Write] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    reordered: list[str] = field(default_factory=list)
    recovered: int = 0
    matched: int = 0
    gaps: int = 0
    newest: float | None = None

    def tell(self, writes: Sequence[Write], places: Mapping[str, int]) -> None:
        foremost: dict[int, int] = {}  # writer -> the first place of any of its writes so far, which are later ones
        newest = float("-inf")
        for write in reversed(writes):
            name, writer, _, result, _, answered, _ = write
            place = places.get(name)
            if place is None:
                if result == "ok":
                    self.lost.append(write)
                    self.gaps += writer in foremost
                continue
            self.matched += 1
            if result == "ok":
                if answered is not None and answered > newest:
                    newest = answered
            elif result == "failed":
                self.refused.append(name)
            else:
                self.recovered += 1
            before = foremost.get(writer)
            if before is None or place < before:
                foremost[writer] = place
            elif result == "ok":
                self.reordered.append(name)
        self.newest = None if newest == float("-inf") else newest


def _phantom(writes: Iterable[Write], places: Mapping[str, int], fates: _Fates) -> list[str]:
    if fates.matched == len(places):
        return sorted(fates.refused)
    return sorted([*fates.refused, *(places.keys() - {write.id for write in writes})])
