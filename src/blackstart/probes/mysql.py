"""`mysql`: replication of a MariaDB (10.11 and later) or MySQL (8.0.22 and later) store, asked at its members.

A replica knows only what reached it. Over a link that was cut without a word
it goes on to say that both threads run and that it is 0 s behind, until its
net timeout. So what it says is compared with what its source has, and where
that cannot be, there is no data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal

from blackstart.evidence.records import Reason
from blackstart.fleet.sql import Sql, SqlError, connect
from blackstart.probes.base import Look, NoData, Scope, Value
from blackstart.probes.gtid import Gtids
from blackstart.probes.replica import Replica, replica, source_position
from blackstart.probes.stores import Server, StoreSpec, Trail, ask_source, servers, source_of, store_of
from blackstart.probes.threads import in_thread
from blackstart.schema.secret import SecretError

_clock = time.monotonic
_AGAIN = 0.05
_SLACK = 1.0
_PLUGINS = {"mysql": ("Rpl_semi_sync_source", "Rpl_semi_sync_master"), "mariadb": ("Rpl_semi_sync_master",)}


class Spec(StoreSpec):
    """Reads `measure` of a store; key: the region of the member that is asked.

    Of the replicas: `lag` (seconds; what the server says, where it can be
    believed), `behind` (transactions of the source that are not applied),
    `unreceived` (that have not even come), `unapplied` (that came and are not
    applied), `running` (1: both threads), `heard` (seconds since anything came
    from the source). Of every member: `writable` (0 or 1). Of the primary:
    `semisync` (1: every acknowledged write since the look before is at a replica).
    """

    kind: Literal["mysql"] = "mysql"
    measure: Literal["lag", "behind", "unreceived", "unapplied", "running", "heard", "writable", "semisync"] = "lag"


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look for each member."""
    store = store_of(spec, scope, ("mariadb", "mysql"))
    replicas = store.followers
    otherwise = {"writable": list(store.members), "semisync": [store.primary]}.get(spec.measure, replicas)
    work = _WORK[spec.measure]
    return {
        server.region: in_thread(partial(work, spec, scope, server))
        for server in servers(spec, scope, store, otherwise)
    }


@contextmanager
def _session(spec: Spec, scope: Scope, server: Server) -> Iterator[Sql]:
    try:
        with connect(scope.fleet, server.store, server.member, server.store.reader, server.share(spec)) as session:
            yield session
    except SecretError as error:
        raise NoData(Reason.UNAUTHORISED, str(error)) from None
    except SqlError as error:
        raise NoData(Reason(error.kind), str(error)) from None


def _replica(session: Sql, server: Server) -> Replica:
    found = replica(session, server.store.kind)
    if found is None:
        raise NoData(Reason.EMPTY, f"{server.region} is no replica: it follows nobody")
    return found


def _lacks(have: Gtids, source: Gtids) -> int:
    try:
        return have.lacks(source)
    except ValueError as error:
        raise NoData(Reason.MALFORMED, str(error)) from None


def _source_position(spec: Spec, scope: Scope, source: Server) -> Gtids:
    def ask() -> Gtids:
        with _session(spec, scope, source) as session:
            return source_position(session, source.store.kind)

    return ask_source(source, ask)


def _distance(spec: Spec, scope: Scope, server: Server) -> Value:
    """`behind` or `unreceived`: the source is asked first, so that what comes meanwhile does not count."""
    with _session(spec, scope, server) as session:
        source = _source_position(spec, scope, source_of(server, _replica(session, server).source))
        found = _replica(session, server)
    missing = _lacks(found.applied if spec.measure == "behind" else found.received, source)
    return Value(float(missing), age=0.0, detail=found.said())


def _unapplied(spec: Spec, scope: Scope, server: Server) -> Value:
    with _session(spec, scope, server) as session:
        found = _replica(session, server)
    return Value(float(_lacks(found.applied, found.received)), age=0.0, detail=found.said())


def _lag(spec: Spec, scope: Scope, server: Server) -> Value:
    trail: Trail[Gtids] = scope.memory.setdefault((spec.probe, server.region), Trail())
    with _session(spec, scope, server) as session:
        source = _source_position(spec, scope, source_of(server, _replica(session, server).source))
        trail.add(_clock(), source)
        found = _arrived(session, server, source, min(0.5, spec.deadline / 4))
    missing = _lacks(found.received, source)
    delay = trail.delay(_clock(), lambda position: not _lacks(found.received, position))
    if delay is None or delay > spec.grace:
        late = f"for {delay:.1f} s" if delay is not None else "since the first look"
        raise NoData(
            Reason.STALE,
            f"the server says {found.seconds_behind} s, but {missing} transactions of its source have not come, "
            f"{late}; {found.said()}",
        )
    if found.seconds_behind is None:
        raise NoData(Reason.STALE, f"the server knows no lag: {found.said()}")
    return Value(max(found.seconds_behind, delay), age=delay, detail=f"{missing} transactions on their way")


def _arrived(session: Sql, server: Server, source: Gtids, patience: float) -> Replica:
    """The replica once it has what the source had, or as it is when patience ends: things may be on their way."""
    ends = _clock() + patience
    while True:
        found = _replica(session, server)
        if not _lacks(found.received, source) or _clock() > ends:
            return found
        time.sleep(_AGAIN)


def _running(spec: Spec, scope: Scope, server: Server) -> Value:
    with _session(spec, scope, server) as session:
        found = replica(session, server.store.kind)
    if found is None:
        return Value(0.0, age=0.0, detail="it follows nobody")
    silent = _silence(spec, scope, server, found)
    if not found.running:
        return Value(0.0, age=0.0, detail=found.said())
    if not found.period:
        raise NoData(Reason.STALE, "both threads run, but heartbeats are off: silence cannot be told from quiet")
    if silent > 2 * found.period + _SLACK:
        raise NoData(
            Reason.STALE,
            f"both threads run, but nothing has come for {silent:.1f} s, and a heartbeat is due every "
            f"{found.period:g} s",
        )
    return Value(1.0, age=silent, detail=found.said())


def _silence(spec: Spec, scope: Scope, server: Server, found: Replica) -> float:
    """Seconds without anything from the source: by the server, else as far as the looks before know."""
    if found.heard is not None:
        return found.heard
    now = _clock()
    known: tuple[object, float] = scope.memory.get((spec.probe, server.region), (None, now))
    mark, since = known
    if mark != found.mark:
        since = now
    scope.memory[spec.probe, server.region] = (found.mark, since)
    return now - since


def _heard(spec: Spec, scope: Scope, server: Server) -> Value:
    first = (spec.probe, server.region) not in scope.memory
    with _session(spec, scope, server) as session:
        found = _replica(session, server)
        silent = _silence(spec, scope, server, found)
        ends = _clock() + spec.deadline / 3
        while first and found.heard is None:
            if _clock() > ends:
                raise NoData(Reason.EMPTY, "nothing came during the first look, and MariaDB does not say since when")
            time.sleep(_AGAIN)
            again = _replica(session, server)
            silent, first = _silence(spec, scope, server, again), again.mark == found.mark
    return Value(silent, age=0.0, detail=found.said())


def _writable(spec: Spec, scope: Scope, server: Server) -> Value:
    with _session(spec, scope, server) as session:
        read_only = session.row("SELECT @@GLOBAL.read_only AS value")["value"]
    return Value(float(not read_only), age=0.0)


def _semisync(spec: Spec, scope: Scope, server: Server) -> Value:
    with _session(spec, scope, server) as session:
        status = {
            row["Variable_name"]: row["Value"] for row in session.rows("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync%'")
        }
    plugin = next((name for name in _PLUGINS[server.store.kind] if f"{name}_status" in status), None)
    if plugin is None:
        return Value(0.0, age=0.0, detail="semi-synchronous replication is not there")
    unsafe = int(status[f"{plugin}_no_tx"])
    before = scope.memory.get((spec.probe, server.region), unsafe)
    scope.memory[spec.probe, server.region] = unsafe
    # A counter that fell began again with its server.
    since = unsafe - before if unsafe >= before else unsafe
    detail = f"{status[f'{plugin}_clients']} replicas acknowledge"
    if since:
        return Value(0.0, age=0.0, detail=f"{since} writes were acknowledged without a replica; {detail}")
    return Value(float(status[f"{plugin}_status"] == "ON"), age=0.0, detail=detail)


_WORK: dict[str, Callable[[Spec, Scope, Server], Value]] = {
    "lag": _lag,
    "behind": _distance,
    "unreceived": _distance,
    "unapplied": _unapplied,
    "running": _running,
    "heard": _heard,
    "writable": _writable,
    "semisync": _semisync,
}
