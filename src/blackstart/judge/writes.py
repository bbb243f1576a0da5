"""What became of the ledger's writes, by store and moment, from the evidence. Formulas in docs/verdicts.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blackstart.evidence.history import Moment
from blackstart.evidence.records import Interval, Reading
from blackstart.evidence.written import LostWrite, StoreRead
from blackstart.judge.case import Case
from blackstart.schema.result_writes import LostWriteResult, StoreWrites

MOMENTS = ("failover", "failback")


@dataclass(frozen=True)
class Kept:
    """A record of a store at a moment: what was read from the members that take writes.

    `reads` empty: nobody knows, because of `why`.
    """

    store: str
    record: str
    moment: str
    reads: Sequence[StoreRead]
    why: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.store}/{self.record} after the {self.moment}"


def ledger_service(case: Case) -> str | None:
    """The service that numbered writes go to; None without a ledger."""
    return case.history.named(case.drill.ledger.service) if case.drill.ledger else None


def kept(case: Case, store: str | None = None, record: str | None = None) -> Iterator[Kept]:
    """Every record of every store of the ledger's service, or those named, at each moment.

    A multi-active store has one moment, after the fail-back: until then, what
    one member lacks is on its way.
    """
    service = case.fleet.services.get(ledger_service(case) or "")
    wanted = case.fleet.roles.get(store, store) if store else None
    for name in service.stores if service else ():
        records = case.fleet.stores[name].records
        moments = MOMENTS[1:] if case.fleet.stores[name].multi_active else MOMENTS
        for each in records if wanted in (None, name) else ():
            if record in (None, each):
                yield from (_kept(case, name, each, moment) for moment in moments)


def _kept(case: Case, store: str, record: str, moment: str) -> Kept:
    all_of_it = [m.body for m in case.history.reads]
    found = [r for r in all_of_it if (r.store, r.record, r.moment) == (store, record, moment)]
    reads = [r for r in found if r.no_data is None and r.writable and r.acknowledged]
    if case.fleet.stores[store].multi_active and len(reads) < len(case.fleet.stores[store].members):
        return Kept(store, record, moment, [], _not_all(case, found))
    return Kept(store, record, moment, reads, "" if reads else _why(found))


def _not_all(case: Case, found: Sequence[StoreRead]) -> str:
    """Why not every member of a multi-active store says something."""
    if all(r.no_data is None and r.writable for r in found):
        return _why(found)
    silent = [f"{r.member}: {r.no_data or 'takes no writes'}" for r in found if r.no_data or not r.writable]
    return "; ".join(["not every member was read", *silent])


def _why(found: Sequence[StoreRead]) -> str:
    if not found:
        return "was not read"
    unread = [f"{r.member}: {r.no_data}{f' ({r.detail})' if r.detail else ''}" for r in found if r.no_data]
    if any(r.no_data is None and r.writable for r in found):
        return "no write was acknowledged"
    return "; ".join(["no member takes writes", *unread])


def rpo(case: Case, read: StoreRead) -> tuple[float, float] | None:
    """Between how many seconds the recovery point objective's figure lies; None without T0.

    From the acknowledgement of the oldest write that is missing to T0 of the
    first fault or, when writes were acknowledged later that are missing, too,
    to the newest of them. What was lost by the fail-back has no T0.
    """
    later = read.moment == "failback" and any(
        r.reads for r in kept(case, read.store, read.record) if r.moment == "failover"
    )
    span = read.new if later else read.lost
    if not span.count or span.first is None or span.last is None:
        return 0.0, 0.0
    if later:
        return span.last - span.first, span.last - span.first
    t0 = _first_t0(case)
    if t0 is None:
        return None
    return max(t0.earliest, span.last) - span.first, max(t0.latest, span.last) - span.first


def _first_t0(case: Case) -> Interval | None:
    found = [fault.t0 for fault in case.history.broken if fault.t0]
    return min(found, key=lambda t0: t0.earliest, default=None)


def store_writes(case: Case) -> list[StoreWrites]:
    """All that was read, as result.json has it."""
    service = ledger_service(case) or ""
    return [_result(case, service, moment.body) for moment in case.history.reads]


def _result(case: Case, service: str, read: StoreRead) -> StoreWrites:
    store = case.fleet.stores.get(read.store)
    awaited = bool(store and store.multi_active and read.moment != MOMENTS[-1])
    span = rpo(case, read) if read.no_data is None and read.writable and not awaited else None
    clean = read.no_data is None and not read.lost.count and read.acknowledged
    return StoreWrites(
        service=service,
        store=read.store,
        record=read.record,
        moment=read.moment,
        member=read.member,
        server=read.server,
        writable=read.writable,
        no_data=read.no_data,
        detail=read.detail,
        ids=read.ids,
        acknowledged=read.acknowledged,
        failed=read.failed,
        indeterminate=read.indeterminate,
        lost=read.lost.count,
        new=read.new.count,
        recovered=read.recovered,
        duplicated=read.duplicated,
        phantom=read.phantom,
        reordered=read.reordered,
        gaps=read.gaps,
        rpo_s=round(span[1], 4) if span else None,
        lost_at_most=3 / read.acknowledged if clean else None,
        lost_writes=[_lost(case, read.store, write) for write in read.examples]
        if read.writable and not awaited
        else [],
        awaited=awaited,
        odd=list(read.odd),
    )


def _lost(case: Case, store: str, write: LostWrite) -> LostWriteResult:
    t0 = _first_t0(case)
    return LostWriteResult(
        id=write.id,
        acknowledged_s=round(write.acknowledged - (t0.earliest if t0 else case.history.window.start), 4),
        by=write.by,
        replication="; ".join(_replication(case, store, write.acknowledged)),
    )


def _replication(case: Case, store: str, t: float) -> list[str]:
    """What the probes of a store last said before a moment."""
    names = {
        p["probe"]
        for p in case.history.header.probes
        if case.fleet.roles.get(p.get("store", ""), p.get("store")) == store
    }
    last: dict[tuple[str, str], Moment[Reading]] = {}
    for moment in case.history.readings:
        if moment.body.probe in names and moment.t <= t:
            last[moment.body.probe, moment.body.key] = moment
    return [_reading(moment.body, t - moment.t) for moment in last.values()]


def _reading(body: Reading, age: float) -> str:
    value = f"no data: {body.no_data}" if body.no_data else f"{body.value:g}" if body.value is not None else "?"
    detail = f" ({body.detail})" if body.detail else ""
    return f"{body.probe}{f' {body.key}' if body.key else ''}: {value}{detail}, {age:.1f} s before"
