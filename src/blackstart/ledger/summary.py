"""What a look at a store came to, as a record of the evidence. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from blackstart.evidence.written import LostWrite, Span, StoreRead
from blackstart.ledger.checker import Findings, acknowledged_at
from blackstart.ledger.records import Write
from blackstart.ledger.stores import Unread, Who

Moment = Literal["failover", "failback"]

LISTED = 200
"""Lost writes that are named one by one; the rest are counted."""

_ODD = 20


def digest(ids: Iterable[str]) -> str:
    """SHA-256 (hex) of ids in their order."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def store_read(
    where: tuple[Moment, str, str, str], who: Who, ids: Sequence[str], found: Findings, before: Collection[str]
) -> StoreRead:
    """The record for `where`: moment, store, record, member. `before`: ids that were lost at an earlier moment."""
    moment, store, record, member = where
    odd = [(i, "twice") for i in found.duplicated] + [(i, "never meant, or refused") for i in found.phantom]
    odd += [(i, "after a later one") for i in found.reordered]
    return StoreRead(
        moment=moment,
        store=store,
        record=record,
        member=member,
        server=who.server,
        writable=who.writable,
        ids=found.present,
        digest=digest(ids),
        newest=found.newest,
        acknowledged=found.acknowledged,
        failed=found.failed,
        indeterminate=found.indeterminate,
        lost=_span(found.lost),
        new=_span([write for write in found.lost if write.id not in before]),
        recovered=found.recovered,
        duplicated=len(found.duplicated),
        phantom=len(found.phantom),
        reordered=len(found.reordered),
        gaps=found.gaps,
        examples=[LostWrite(id=w.id, acknowledged=acknowledged_at(w), by=w.by) for w in found.lost[:LISTED]],
        odd=[f"{name[:80]}: {what}" for name, what in odd[:_ODD]],
    )


def unread(where: tuple[Moment, str, str, str], why: Unread) -> StoreRead:
    """The record of a member that could not be read."""
    moment, store, record, member = where
    return StoreRead(
        moment=moment, store=store, record=record, member=member, no_data=why.reason, detail=why.detail[:500]
    )


def _span(lost: Sequence[Write]) -> Span:
    return (
        Span(count=len(lost), first=acknowledged_at(lost[0]), last=acknowledged_at(lost[-1]))
        if lost
        else Span(count=0)
    )
