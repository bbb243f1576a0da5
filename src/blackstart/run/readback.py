"""Reads every member of a service's stores and compares what it holds with the ledger, until that says enough."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Store
from blackstart.ledger.checker import Findings, check
from blackstart.ledger.records import Write
from blackstart.ledger.stores import Holding, Unread, hold
from blackstart.probes.threads import in_thread

ONE = 20.0
"""Seconds in which one member must be read in full."""

PAUSE = 0.5
"""Seconds between two looks."""

REST = 2.0
"""Seconds in which what is missing must not come to be believed missing: an outbox may be behind."""

Hold = Callable[[str, str], Holding]
"""Reads a member (store, region) in full, in a thread; raises Unread."""


def holding(fleet: Fleet, run: str) -> Hold:
    """The real reader, for the ids of a run (a short one)."""

    def read(store: str, member: str) -> Holding:
        kept = fleet.stores[store]
        return hold(fleet, kept, kept.members[member], kept.reader, run, ONE)

    return read


@dataclass(frozen=True)
class Seen:
    """One member: what it holds and what became of the writes by record, or why it could not be read."""

    store: str
    member: str
    answer: Holding | Unread
    found: Mapping[str, Findings] = field(default_factory=dict)

    @property
    def writable(self) -> bool:
        """Whether it was read, and takes writes."""
        return isinstance(self.answer, Holding) and self.answer.who.writable

    @property
    def lost(self) -> int:
        """Acknowledged writes that are missing, over all records."""
        return sum(len(found.lost) for found in self.found.values())

    def same(self, other: Seen) -> bool:
        """Whether both hold the same ids."""
        mine, theirs = self.answer, other.answer
        return (
            isinstance(mine, Holding)
            and isinstance(theirs, Holding)
            and all(set(ids) == set(theirs.ids[name]) for name, ids in mine.ids.items())
        )


Look = Mapping[str, Sequence[Seen]]
"""Store -> its members, as they were seen at one time."""


Enough = Callable[[Sequence[Seen], Sequence[Seen]], bool]
"""Whether a look at a store's members says enough, beside one of REST seconds before (empty: there was none)."""


async def look_until(
    enough: Enough, stores: Mapping[str, Store], read: Hold, writes: Sequence[Write], patience: float
) -> Look:
    """Look again and again until that says enough of every store, for at most `patience` seconds; the last look."""
    end = time.monotonic() + patience
    looks: deque[tuple[float, Look]] = deque([(0.0, {})])
    while True:
        now = await look(stores, read, writes)
        while len(looks) > 1 and looks[1][0] <= time.monotonic() - REST:
            looks.popleft()
        before = looks[0][1]
        if all(enough(members, before.get(name, ())) for name, members in now.items()):
            return now
        if time.monotonic() + PAUSE > end:
            return now
        looks.append((time.monotonic(), now))
        await asyncio.sleep(PAUSE)


def all_there(now: Sequence[Seen], _: Sequence[Seen]) -> bool:
    """Every member was read and lacks nothing, and one takes writes. Others may be written to meanwhile."""
    return any(seen.writable for seen in now) and all(seen.found and not seen.lost for seen in now)


def at_rest(now: Sequence[Seen], before: Sequence[Seen]) -> bool:
    """Some member takes writes; where it lacks something, that did not come for REST seconds."""
    then = {seen.member: seen for seen in before}
    takers = [seen for seen in now if seen.writable]
    return bool(takers) and all(
        not seen.lost or (seen.member in then and seen.same(then[seen.member])) for seen in takers
    )


def agreed(now: Sequence[Seen], before: Sequence[Seen]) -> bool:
    """The same, and every member holds what that one holds."""
    return at_rest(now, before) and all(seen.same(next(s for s in now if s.writable)) for seen in now)


async def look(stores: Mapping[str, Store], read: Hold, writes: Sequence[Write]) -> Look:
    """Read all members at the same time, and compare."""
    asked = [(name, member) for name, store in stores.items() for member in store.members]
    answers = await asyncio.gather(*(_ask(read, name, member) for name, member in asked))
    found = dict(zip(asked, answers, strict=True))
    for name in stores:
        found |= _twins({key: answer for key, answer in found.items() if key[0] == name})
    return {
        name: [await in_thread(partial(_compare, store, name, m, found[name, m], writes)) for m in store.members]
        for name, store in stores.items()
    }


async def _ask(read: Hold, store: str, member: str) -> Holding | Unread:
    try:
        async with asyncio.timeout(ONE + 1):
            return await in_thread(lambda: read(store, member))
    except Unread as why:
        return why
    except TimeoutError:
        return Unread(Reason.TIMEOUT, f"not read within {ONE:g} s")
    except Exception as error:  # noqa: BLE001 - a reader that crashes is an unknown, never a pass
        return Unread(Reason.MALFORMED, f"{type(error).__name__}: {error}")


def _twins(answers: Mapping[tuple[str, str], Holding | Unread]) -> Iterator[tuple[tuple[str, str], Unread]]:
    """Members of a store that the same server answered for: one of them is not what fleet.yaml says."""
    servers: dict[str, list[tuple[str, str]]] = {}
    for key, answer in answers.items():
        if isinstance(answer, Holding):
            servers.setdefault(answer.who.server, []).append(key)
    for server, keys in servers.items():
        if len(keys) > 1:
            names = " and ".join(member for _, member in keys)
            why = Unread(Reason.MALFORMED, f"{names} were answered by the same server, {server}: see fleet.yaml")
            yield from ((key, why) for key in keys)


def _compare(store: Store, name: str, member: str, answer: Holding | Unread, writes: Sequence[Write]) -> Seen:
    if isinstance(answer, Unread):
        return Seen(name, member, answer)
    found = {
        record: check(writes, answer.ids[record], ordered=spec.ordered) for record, spec in store.records.items()
    }
    return Seen(name, member, answer, found)
