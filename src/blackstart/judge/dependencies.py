"""Who still tried to get through what was broken: hidden dependencies. Findings; no gate looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from blackstart.evidence.history import FaultLife, Moment
from blackstart.evidence.records import Crossing, Tried
from blackstart.fleet.model import Fleet
from blackstart.judge.case import Case
from blackstart.judge.names import Named, Names
from blackstart.schema.result import Dependencies, Dependency

_NO_CUT = "no counter of it was read (only a cut by blackstart itself counts), and no gateway of a mesh was asked"
_GATEWAYS_ONLY = (
    "no counter of it was read (only a cut by blackstart itself counts): nobody but gateways tells who tried"
)


@dataclass(frozen=True)
class _Row:
    """Attempts of one address at another; `last`: when the last one was, seconds of the monotonic clock."""

    attempts: int
    last: float | None


_Key = tuple[str, str]
_Read = Sequence[Moment[Crossing]]


def dependencies(case: Case) -> Dependencies:
    """All that was counted, and what was not."""
    history, names = case.history, Names(case.history.addresses, case.fleet)
    told = Dependencies(unnamed=_unnamed(case))
    if not history.broken:
        return told.model_copy(update={"not_counted": ["nothing was broken"]})
    for fault in history.broken:
        told = _of_fault(told, fault, case, names)
    told = _of_gateways(told, case, names)
    return told.model_copy(update={"found": sorted(told.found, key=_order)})


def _of_fault(told: Dependencies, fault: FaultLife, case: Case, names: Names) -> Dependencies:
    name = f"{fault.fault} ({fault.target})"
    reads = [m for m in case.history.crossings if m.body.by == "nft" and m.body.fault == fault.fault]
    if fault.t0 is None:
        return _more(told, not_counted=[f"{name}: it was never proven to be in place"])
    if not reads:
        return _more(told, not_counted=[f"{name}: {_GATEWAYS_ONLY if _by_gateways(case) else _NO_CUT}"])
    for place in dict.fromkeys(m.body.place for m in reads):
        here = [m for m in reads if m.body.place == place]
        good = [m for m in here if not m.body.unread]
        if not good:
            told = _more(told, not_counted=[f"{name} at {place}: {here[-1].body.unread}"])
            continue
        told = _more(told, counted=[f"{name} at {place}, by nft"], not_counted=_limits(name, place, good))
        told = _add(told, fault, place, good, case.fleet, names)
    return told


def _limits(name: str, place: str, good: _Read) -> list[str]:
    """What is not quite as it should be of counters that were read."""
    said = []
    if all(m.body.own is None for m in good):
        said.append(f"{name} at {place}: attempts of nodes may be those of the fault's own control probe")
    if left_out := max(m.body.left_out for m in good):
        said.append(f"{name} at {place}: {left_out} more pairs of addresses, those with the fewest attempts")
    return said


def _add(told: Dependencies, fault: FaultLife, place: str, good: _Read, fleet: Fleet, names: Names) -> Dependencies:
    t0 = fault.t0.earliest if fault.t0 else None
    own = {(row.source, row.destination): row.attempts for m in good for row in m.body.own or ()}
    sender = _gateway(good[-1].body, fleet)
    found, ours = [], 0
    for key, row in _rows(good).items():
        source = sender or names.source(key[0])
        mine = row.attempts if source.kind == "client" else min(own.get(key, 0), row.attempts)
        ours += mine
        if row.attempts > mine:
            rest = replace(row, attempts=row.attempts - mine)
            kind = "gateway" if sender else source.kind
            found.append(_dependency(fault.fault, "nft", key, rest, t0, source, kind, names))
    return _more(told, found=found, own=ours)


def _of_gateways(told: Dependencies, case: Case, names: Names) -> Dependencies:
    reads = [m for m in case.history.crossings if m.body.by == "envoy"]
    t0 = case.t0.earliest if case.t0 else None
    for region in dict.fromkeys(m.body.place for m in reads):
        good = [m for m in reads if m.body.place == region and not m.body.unread]
        if not good:
            why = next(m.body.unread for m in reads if m.body.place == region)
            told = _more(told, not_counted=[f"the gateway of {region}: {why}"])
            continue
        told = _more(told, counted=[f"the gateway of {region}, by Envoy"])
        for key, row in _rows(good).items():
            told = _of_gateway(told, region, key, row, t0, names)
    return told


def _of_gateway(
    told: Dependencies, region: str, key: _Key, row: _Row, t0: float | None, names: Names
) -> Dependencies:
    """A row of its own, unless a cut has counted the same connections."""
    same = [d for d in told.found if d.source_region == region and d.destination_address == key[1]]
    same = [d for d in same if d.counted_by == "nft" and d.source_kind in ("node", "gateway")]
    if not same:
        source = Named("gateway", region, "node")
        return _more(told, found=[_dependency("", "envoy", key, row, t0, source, "gateway", names)])
    said = f"the region's gateway tells of {row.attempts} failed connections there"
    known = same[0].model_copy(update={"detail": said})
    return told.model_copy(update={"found": [known if d is same[0] else d for d in told.found]})


def _rows(reads: Iterable[Moment[Crossing]]) -> dict[_Key, _Row]:
    """The highest count of each pair; one that falls was read late or begun anew."""
    rows: dict[_Key, _Row] = {}
    for moment in reads:
        for tried in moment.body.tried:
            key = (tried.source, tried.destination)
            if key not in rows or tried.attempts > rows[key].attempts:
                rows[key] = _Row(tried.attempts, _last(moment, tried))
    return rows


def _last(moment: Moment[Crossing], tried: Tried) -> float | None:
    return None if tried.idle is None else moment.t - tried.idle


def _dependency(
    fault: str,
    by: str,
    key: _Key,
    row: _Row,
    t0: float | None,
    source: Named,
    kind: str,
    names: Names,
) -> Dependency:
    to = names.destination(key[1])
    return Dependency.model_validate(
        {
            "fault": fault,
            "source": source.name,
            "source_kind": kind,
            "source_region": source.region,
            "source_address": key[0],
            "destination": to.name,
            "destination_region": to.region,
            "destination_address": key[1],
            "attempts": row.attempts,
            "counted_by": by,
            "last_s": None if row.last is None or t0 is None else max(0.0, row.last - t0),
        }
    )


def _gateway(read: Crossing, fleet: Fleet) -> Named | None:
    """The gateway, where a cut drops nothing but what its user sends."""
    for region, found in fleet.regions.items():
        if found.mesh and read.user is not None:
            gateway = found.mesh.gateway
            if (gateway.place, gateway.uid) == (read.place, read.user):
                return Named("gateway", region, "node")
    return None


def _by_gateways(case: Case) -> bool:
    return any(m.body.by == "envoy" for m in case.history.crossings)


def _unnamed(case: Case) -> list[str]:
    addresses = case.history.addresses
    return ["whose addresses there were before the fault is not recorded"] if addresses is None else addresses.missing


def _order(found: Dependency) -> tuple[int, str, str]:
    return -found.attempts, found.source_address, found.destination_address


def _more(
    told: Dependencies,
    *,
    counted: Sequence[str] = (),
    not_counted: Sequence[str] = (),
    found: Sequence[Dependency] = (),
    own: int = 0,
) -> Dependencies:
    return told.model_copy(
        update={
            "counted": [*told.counted, *counted],
            "not_counted": [*told.not_counted, *not_counted],
            "found": [*told.found, *found],
            "own": told.own + own,
        }
    )
