"""Which acknowledged writes survived: a pure function of what was meant and what a store holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    """Compare the writes of a run with the ids that a store holds, in its order where `ordered`.

    A write that was indeterminate may be there or not, and where it is, it may
    have got there late: it is never reordered. One that was acknowledged was so
    before the next one of its writer was sent.
    """
    present = set(survivors)
    lost, newest, counts, refused = _fates(writes, present)
    meant = {write.id for write in writes}
    phantom = sorted((present - meant) | (present & refused))
    many = len(survivors) - len(present)
    return Findings(
        acknowledged=counts["ok"],
        failed=counts["failed"],
        indeterminate=counts["indeterminate"],
        present=len(present),
        lost=sorted(lost, key=_acknowledged),
        recovered=counts["recovered"],
        duplicated=[name for name, n in Counter(survivors).items() if n > 1] if many else [],
        phantom=phantom,
        reordered=_reordered(writes, survivors) if ordered else [],
        gaps=_gaps(writes, lost, present) if lost else 0,
        newest=newest,
    )


def _fates(writes: Iterable[Write], present: set[str]) -> tuple[list[Write], float | None, Counter[str], set[str]]:
    lost: list[Write] = []
    refused: set[str] = set()
    ok = failed = recovered = indeterminate = 0
    newest = float("-inf")
    for write in writes:
        result = write.result
        if result == "ok":
            ok += 1
            if write.id not in present:
                lost.append(write)
            elif (t := _acknowledged(write)) > newest:
                newest = t
        elif result == "failed":
            failed += 1
            refused.add(write.id)
        else:
            indeterminate += 1
            recovered += write.id in present
    counts = Counter(ok=ok, failed=failed, recovered=recovered, indeterminate=indeterminate)
    return lost, None if newest == float("-inf") else newest, counts, refused


def _reordered(writes: Iterable[Write], survivors: Iterable[str]) -> list[str]:
    known = {write.id: (write.writer, write.number, write.result == "ok") for write in writes}
    furthest: dict[int, int] = {}
    seen: set[str] = set()
    found = []
    for name in survivors:
        if name in seen or name not in known:
            continue
        seen.add(name)
        writer, number, acknowledged = known[name]
        if number > furthest.get(writer, 0):
            furthest[writer] = number
        elif acknowledged:
            found.append(name)
    return found


def _gaps(writes: Iterable[Write], lost: Iterable[Write], present: set[str]) -> int:
    last: dict[int, int] = {}
    for write in writes:
        if write.id in present and write.number > last.get(write.writer, 0):
            last[write.writer] = write.number
    return sum(write.number < last.get(write.writer, 0) for write in lost)


def _acknowledged(write: Write) -> float:
    return write.sent if write.answered is None else write.answered
