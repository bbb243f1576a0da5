"""Whether the members of multi-active stores come to hold the same, once what parted them is put back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from blackstart.evidence.written import Convergence, Different
from blackstart.fleet import sql
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Store
from blackstart.ledger.checker import acknowledged_at
from blackstart.ledger.convergence import Difference, differences
from blackstart.ledger.records import Write
from blackstart.ledger.stores import Holding
from blackstart.ledger.summary import LISTED
from blackstart.probes.base import NoData
from blackstart.probes.replica import replica
from blackstart.probes.threads import in_thread
from blackstart.run import readback
from blackstart.run.readback import Hold, Seen, look
from blackstart.schema.secret import SecretError

Say = Callable[[str, str], str]
"""What a member (store, region) says of its replication, in a thread; empty when it says nothing."""

_DEADLINE = 2.0
_SAID = 400


@dataclass(frozen=True)
class Span:
    """When a member was last seen to lack something, and when none was seen to for the first time."""

    behind: float | None = None
    level: float | None = None


def saying(fleet: Fleet) -> Say:
    """The real one. Only MariaDB and MySQL have something to say."""

    def ask(name: str, region: str) -> str:
        store = fleet.stores[name]
        if store.kind == "redis":
            return ""
        try:
            with sql.connect(fleet, store, store.members[region], store.reader, _DEADLINE) as session:
                found = replica(session, store.kind)
        except (FleetError, SecretError, NoData) as error:
            return f"{region}: {error}"[:_SAID]
        return f"{region}: {found.said() if found else 'follows nobody'}"[:_SAID]

    return ask


async def watch(stores: Mapping[str, Store], read: Hold, writes: Sequence[Write], patience: float) -> dict[str, Span]:
    """Look at the stores until each member has these writes, or patience (seconds) ends."""
    spans = {name: Span() for name in stores}
    ends = time.monotonic() + patience
    while waiting := {name: stores[name] for name, span in spans.items() if span.level is None}:
        began = time.monotonic()
        for name, members in (await look(waiting, read, writes)).items():
            there = all(seen.writable and not seen.lost for seen in members)
            spans[name] = Span(spans[name].behind, time.monotonic()) if there else Span(began)
        if time.monotonic() + readback.PAUSE > ends:
            break
        await asyncio.sleep(readback.PAUSE)
    return spans


async def compare(
    stores: Mapping[str, Store], looked: readback.Look, writes: Sequence[Write], spans: Mapping[str, Span], say: Say
) -> list[Convergence]:
    """A record for each record of each of the stores that were looked at."""
    found = []
    for name in stores:
        for record in stores[name].records:
            told = _compare(name, record, looked.get(name, ()), writes, spans.get(name, Span()))
            if told.different or told.unread:
                said = [await in_thread(partial(say, name, member)) for member in stores[name].members]
                told = told.model_copy(update={"replication": [each for each in said if each]})
            found.append(told)
    return found


def _compare(store: str, record: str, members: Sequence[Seen], writes: Sequence[Write], span: Span) -> Convergence:
    answers = {s.member: s.answer for s in members if isinstance(s.answer, Holding) and s.writable}
    contents = {member: answer.content(record) for member, answer in answers.items()}
    unlike = differences(contents, writes) if len(contents) > 1 else []
    return Convergence(
        store=store,
        record=record,
        members=list(contents),
        unread=list(_unread(members)),
        acknowledged=sum(write.result == "ok" for write in writes),
        content=all(record in answer.contents for answer in answers.values()),
        behind=span.behind,
        level=span.level,
        different=len(unlike),
        examples=[_example(each) for each in unlike[:LISTED]],
    )


def _unread(members: Sequence[Seen]) -> Iterator[str]:
    for seen in members:
        if not isinstance(seen.answer, Holding):
            yield f"{seen.member}: {seen.answer.reason}: {seen.answer.detail}"[:_SAID]
        elif not seen.writable:
            yield f"{seen.member} takes no writes"


def _example(each: Difference) -> Different:
    write = each.write if each.write and each.write.result == "ok" else None
    return Different(
        id=each.id,
        held=list(each.held),
        missing=list(each.missing),
        differs=each.differs,
        acknowledged=acknowledged_at(write) if write else None,
        by=write.by if write else "",
    )
