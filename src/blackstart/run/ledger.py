"""The ledger's part in a run: writers from the baseline to the settle phase, stores read back three times.

The supervisor enters `Parts.ledger` after the clients have been started, and
asks it `baseline()`, `after_failover()`, `after_undo()` and `after_failback()`,
each once, in the phases of these names. What comes of the last three is in the
evidence (StoreRead, Convergence, Check); none of them raises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from blackstart.evidence.records import Body, Check, Note, Reason
from blackstart.fleet.stores import Store
from blackstart.ledger import ids, summary
from blackstart.ledger.book import LEDGER
from blackstart.ledger.records import BadLedger, Write, read
from blackstart.ledger.stores import Holding, Unread
from blackstart.ledger.summary import Moment, store_read
from blackstart.ledger.writers import Job
from blackstart.plan.resolve import Plan
from blackstart.probes.threads import in_thread
from blackstart.run import convergence
from blackstart.run.convergence import Say, saying
from blackstart.run.pen import Pen, RestlessError
from blackstart.run.readback import Hold, Look, Seen, agreed, all_there, at_rest, holding, look_until
from blackstart.schema.drill import ConvergenceObjective, Steady

FAILOVER, BASELINE, FAILBACK = 10.0, 10.0, 30.0
"""Seconds that stores get to show what they should, at each moment."""

BEYOND = 5.0
"""Seconds beyond the objective in which members of a multi-active store are watched."""

Log = Callable[[Body], None]


class Ledger(Protocol):
    """What the supervisor asks of it."""

    async def baseline(self, steady: Steady) -> list[Check]:
        """Whether writes are acknowledged, and every member of every store gets them."""

    async def after_failover(self) -> None:
        """Let the writers rest, read every store back, go on writing. May be cancelled."""

    async def after_undo(self) -> None:
        """Wait until the members of multi-active stores have what was acknowledged before. May be cancelled."""

    async def after_failback(self) -> None:
        """End the writing and read every store back, once its members agree."""


Keep = Callable[[Log], AbstractAsyncContextManager[Ledger]]
"""Keeps a ledger for the length of an `async with`; what it records goes to the log."""


class NoLedger:
    """The ledger of a drill that has none."""

    async def baseline(self, steady: Steady) -> list[Check]:
        """Nothing to say."""
        return []

    async def after_failover(self) -> None:
        """Nothing to read."""

    async def after_undo(self) -> None:
        """Nothing to wait for."""

    async def after_failback(self) -> None:
        """Nothing to read."""


@asynccontextmanager
async def no_ledger(_: Log) -> AsyncIterator[Ledger]:
    """Keep no ledger."""
    yield NoLedger()


def ledger_of(plan: Plan, run_id: str, folder: Path) -> Keep:
    """The ledger that a plan's drill asks for, in the folder of the run."""
    spec = plan.drill.ledger
    if spec is None:
        return no_ledger
    name = plan.services[spec.service]
    service, fleet = plan.fleet.services[name], plan.fleet
    if service.writes is None:
        return no_ledger
    job = Job(
        service=name,
        run=ids.short(run_id),
        urls=service.writes.entries,
        place=fleet.places[service.writes.place],
        writers=spec.writers,
        interval=spec.interval,
        timeout=spec.timeout,
        path=folder / LEDGER,
    )
    stores = {store: fleet.stores[store] for store in service.stores}
    bounds = [each.objective for each in plan.drill.objectives if isinstance(each, ConvergenceObjective)]
    return keeping(job, stores, holding(fleet, job.run), saying(fleet), max(bounds, default=0.0) + BEYOND)


def keeping(
    job: Job, stores: Mapping[str, Store], read_member: Hold, say: Say = lambda *_: "", patience: float = BEYOND
) -> Keep:
    """A ledger of `job` whose stores are read by `read_member`, and say of their replication what `say` does.

    `patience`: seconds in which members of multi-active stores come level, once the faults are undone.
    """

    @asynccontextmanager
    async def keep(log: Log) -> AsyncIterator[Ledger]:
        pen = await Pen.start(job, job.path.with_name("writers.log"), log)
        try:
            yield Kept(pen, job, stores, read_member, log, say, patience)
        finally:
            await pen.close()

    return keep


class Kept:
    """A ledger that is being written. The methods are those of Ledger."""

    def __init__(
        self,
        pen: Pen,
        job: Job,
        stores: Mapping[str, Store],
        read_member: Hold,
        log: Log,
        say: Say,
        patience: float,
    ) -> None:
        self._active = {name: store for name, store in stores.items() if store.multi_active}
        self._say, self._patience, self._spans = say, patience, dict[str, convergence.Span]()
        self._pen, self._job, self._stores, self._read, self._log = pen, job, stores, read_member, log
        self._lost: dict[tuple[str, str], set[str]] = {}

    async def baseline(self, steady: Steady) -> list[Check]:
        """See Ledger."""
        checks = [self._steady(steady)]
        try:
            known = [w for w in await self._writes(whole=False) if w.result == "ok"]
        except BadLedger as bad:
            return [*checks, Check(name="baseline/ledger/file", ok=False, detail=str(bad))]
        look = await look_until(all_there, self._stores, self._read, known, BASELINE)
        for name, members in look.items():
            checks += [check for seen in members for check in _baseline_checks(seen, len(known))]
            if not any(seen.writable for seen in members):
                checks.append(Check(name=f"baseline/ledger/{name}", ok=False, detail="no member takes writes"))
            elif name in self._active and not all(seen.writable for seen in members):
                idle = ", ".join(seen.member for seen in members if not seen.writable)
                said = f"it is multi-active, but takes no writes in {idle}"
                checks.append(Check(name=f"baseline/ledger/{name}", ok=False, detail=said))
        return checks

    async def after_failover(self) -> None:
        """See Ledger."""
        try:
            await self._pen.pause()
            await self._read_back("failover", FAILOVER)
        except RestlessError as error:
            self._unread("failover", Unread(Reason.TIMEOUT, str(error)))
        finally:
            self._pen.resume()

    async def after_undo(self) -> None:
        """See Ledger."""
        with suppress(BadLedger):  # Reading it back will say so.
            known = [w for w in await self._writes(whole=False) if w.result == "ok"] if self._active else []
            self._spans = await convergence.watch(self._active, self._read, known, self._patience)

    async def after_failback(self) -> None:
        """See Ledger."""
        try:
            await self._pen.stop()
        except RestlessError as error:
            self._log(Note(level="error", text=str(error)))
        look, writes = await self._read_back("failback", FAILBACK)
        for found in await convergence.compare(self._active, look, writes, self._spans, self._say):
            self._log(found)
        for check in _agreement(self._job.service, look):
            self._log(check)

    async def _read_back(self, moment: Moment, patience: float) -> tuple[Look, Sequence[Write]]:
        try:
            writes = await self._writes(whole=True)
        except BadLedger as bad:
            self._unread(moment, Unread(Reason.MALFORMED, str(bad)))
            return {}, []
        enough = at_rest if moment == "failover" else agreed
        look = await look_until(enough, self._stores, self._read, writes, patience)
        for name, members in look.items():
            for seen in members:
                self._tell(moment, self._stores[name], seen)
            for seen in members if moment == "failover" and name not in self._active else ():
                if seen.writable:
                    for record, found in seen.found.items():
                        self._lost.setdefault((name, record), set()).update(w.id for w in found.lost)
        return look, writes

    def _tell(self, moment: Moment, store: Store, seen: Seen) -> None:
        for record in store.records:
            where = (moment, seen.store, record, seen.member)
            answer = seen.answer
            if isinstance(answer, Holding):
                before = self._lost.get((seen.store, record), set())
                self._log(store_read(where, answer.who, answer.ids[record], seen.found[record], before))
            else:
                self._log(summary.unread(where, answer))

    def _unread(self, moment: Moment, why: Unread) -> None:
        for name, store in self._stores.items():
            for member in store.members:
                self._tell(moment, store, Seen(name, member, why))

    async def _writes(self, *, whole: bool) -> list[Write]:
        # The writers may be gone: then the file is as long as it is, and its last seal older.
        whole = (whole and not self._pen.ended.is_set()) or self._pen.stopped
        # Of now: one that comes while the file is read may be of more than was read.
        seals = tuple(self._pen.seals)
        return await in_thread(partial(read, self._job.path, self._job.run, seals, whole=whole))

    def _steady(self, steady: Steady) -> Check:
        counts, name = self._pen.counts, f"baseline/ledger/{self._job.service}"
        known = counts["ok"] + counts["failed"] + counts["indeterminate"]
        detail = f"{counts['ok']} of {known} writes acknowledged by {self._job.writers} writers"
        enough = counts["ok"] >= max(self._job.writers, steady.success * known)
        return Check(name=name, ok=enough and not self._pen.ended.is_set(), detail=detail)


def _baseline_checks(seen: Seen, known: int) -> list[Check]:
    name = f"baseline/ledger/{seen.store}"
    if isinstance(seen.answer, Unread):
        return [Check(name=f"{name}/{seen.member}", ok=None, detail=f"{seen.answer.reason}: {seen.answer.detail}")]
    checks = []
    for record, found in seen.found.items():
        lost = len(found.lost)
        detail = f"{known - lost} of {known} acknowledged writes are there" + (
            f"; {lost} are not after {BASELINE:g} s: replication is broken or far behind, or `records` is wrong"
            if lost
            else f" ({seen.answer.who.server})"
        )
        checks.append(Check(name=f"{name}/{seen.member}/{record}", ok=not lost, detail=detail))
    return checks


def _agreement(service: str, look: Look) -> Sequence[Check]:
    """Whether, in the end, every member holds what the one holds that takes writes: replication is back."""
    checks = []
    for store, members in look.items():
        taker = next((seen for seen in members if seen.writable), None)
        for seen in members:
            name = f"completeness/{service}/{store}@{seen.member}"
            if isinstance(seen.answer, Unread) or taker is None:
                why = "no member takes writes" if taker is None else str(seen.answer)
                checks.append(Check(name=name, ok=None, detail=why))
            else:
                same = seen.same(taker)
                detail = f"holds {'the same' if same else 'other'} writes {'as' if same else 'than'} {taker.member}"
                checks.append(Check(name=name, ok=same, detail=detail))
    return checks
