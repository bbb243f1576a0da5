"""`redis`: replication of a Redis store, asked at its members by INFO.

Over a link that was cut without a word a replica says `up` until its
repl-timeout, and so does its primary. So the offsets of both are compared, and
where that cannot be, there is no data.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from blackstart.evidence.records import Reason
from blackstart.fleet.redisdb import RedisError, connect
from blackstart.probes.base import Look, NoData, Scope, Value
from blackstart.probes.stores import Server, StoreSpec, Trail, ask_source, servers, source_of, store_of
from blackstart.probes.threads import in_thread
from blackstart.schema.secret import SecretError

_clock = time.monotonic
_Info = dict[str, Any]


class Spec(StoreSpec):
    """Reads `measure` of a store; key: the region of the member that is asked.

    Of the replicas: `link` (1: up, and what the primary sent has come within
    `grace`), `behind` (bytes that the primary has sent and the replica does
    not have), `heard` (seconds since anything came). Of every member:
    `writable` (1: takes writes). Of the primary: `replicas` (that are online
    and were heard of within `grace`).
    """

    kind: Literal["redis"] = "redis"
    measure: Literal["link", "behind", "heard", "writable", "replicas"] = "link"


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look for each member."""
    store = store_of(spec, scope, ("redis",))
    replicas = store.followers
    otherwise = {"writable": list(store.members), "replicas": [store.primary]}.get(spec.measure, replicas)
    work = _WORK[spec.measure]
    return {
        server.region: in_thread(partial(work, spec, scope, server))
        for server in servers(spec, scope, store, otherwise)
    }


def _info(spec: Spec, scope: Scope, server: Server) -> _Info:
    try:
        with connect(scope.fleet, server.store, server.member, server.store.reader, server.share(spec)) as client:
            found: _Info = client.info("replication")
    except SecretError as error:
        raise NoData(Reason.UNAUTHORISED, str(error)) from None
    except RedisError as error:
        raise NoData(Reason(error.kind), str(error)) from None
    if "role" not in found:
        raise NoData(Reason.MALFORMED, "not an answer of Redis: no role")
    return found


def _replica(spec: Spec, scope: Scope, server: Server) -> _Info:
    found = _info(spec, scope, server)
    if found["role"] != "slave":
        raise NoData(Reason.EMPTY, f"{server.region} is no replica: it follows nobody")
    return found


def _source(spec: Spec, scope: Scope, server: Server, info: _Info) -> _Info:
    source = source_of(server, f"{info['master_host']}:{info['master_port']}")
    return ask_source(source, lambda: _info(spec, scope, source))


def _lacks(replica: _Info, source: _Info) -> int:
    """Bytes. Raises NoData when the two are not of one history."""
    if replica["master_replid"] != source["master_replid"]:
        raise NoData(Reason.MALFORMED, "replica and primary have different histories: their offsets do not compare")
    return max(0, int(source["master_repl_offset"]) - int(replica["slave_repl_offset"]))


def _behind(spec: Spec, scope: Scope, server: Server) -> Value:
    # Who it follows, then the primary, then the replica: what comes meanwhile does not count.
    source = _source(spec, scope, server, _replica(spec, scope, server))
    found = _replica(spec, scope, server)
    return Value(float(_lacks(found, source)), age=0.0, detail=_said(found))


def _link(spec: Spec, scope: Scope, server: Server) -> Value:
    found = _replica(spec, scope, server)
    if found["master_link_status"] != "up":
        return Value(0.0, age=0.0, detail=_said(found))
    trail: Trail[_Info] = scope.memory.setdefault((spec.probe, server.region), Trail())
    trail.add(_clock(), _source(spec, scope, server, found))
    found = _replica(spec, scope, server)
    # Pings count as well: the offset grows while nobody writes.
    delay = trail.delay(_clock(), lambda source: not _lacks(found, source))
    if delay is None or delay > spec.grace:
        late = f"for {delay:.1f} s" if delay is not None else "since the first look"
        missing = _lacks(found, trail.seen[-1][1])
        raise NoData(Reason.STALE, f"the replica says up, but {missing} bytes have not come, {late}; {_said(found)}")
    return Value(1.0, age=delay, detail=_said(found))


def _heard(spec: Spec, scope: Scope, server: Server) -> Value:
    found = _replica(spec, scope, server)
    up = found["master_link_status"] == "up"
    seconds = found["master_last_io_seconds_ago"] if up else found.get("master_link_down_since_seconds", -1)
    if seconds < 0:
        raise NoData(Reason.EMPTY, f"nothing has come yet: {_said(found)}")
    return Value(float(seconds), age=0.0, detail=_said(found))


def _writable(spec: Spec, scope: Scope, server: Server) -> Value:
    found = _info(spec, scope, server)
    writable = found["role"] == "master" or not found.get("slave_read_only", 1)
    return Value(float(writable), age=0.0, detail=f"role {found['role']}")


def _replicas(spec: Spec, scope: Scope, server: Server) -> Value:
    found = _info(spec, scope, server)
    replicas = [value for key, value in found.items() if re.fullmatch(r"slave\d+", key)]
    alive = [one for one in replicas if one["state"] == "online" and 0 <= one["lag"] <= spec.grace]
    others = "; ".join(f"{r['ip']}:{r['port']} {r['state']}, last heard of {r['lag']} s ago" for r in replicas)
    return Value(float(len(alive)), age=0.0, detail=f"role {found['role']}" + (f"; {others}" if others else ""))


def _said(info: _Info) -> str:
    return f"link {info['master_link_status']}, last heard of {info['master_last_io_seconds_ago']} s ago"


_WORK: dict[str, Callable[[Spec, Scope, Server], Value]] = {
    "link": _link,
    "behind": _behind,
    "heard": _heard,
    "writable": _writable,
    "replicas": _replicas,
}
