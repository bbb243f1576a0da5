"""Reads the ids of a run from one member of a store, in full, and says who answered.

A member is asked at its own address, from its own place: nothing chooses
another server on the way. Blocking; for a thread.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from redis import Redis
from redis import RedisError as ClientError

from blackstart.evidence.records import Reason
from blackstart.fleet import redisdb, sql
from blackstart.fleet.model import Fleet
from blackstart.fleet.redisdb import RedisError
from blackstart.fleet.sql import Sql, SqlError
from blackstart.fleet.stores import Login, Member, Store
from blackstart.ledger.ids import prefix

STEP = 2.0
"""Seconds for a connect, and for each statement or page."""

_PAGE = 1000
_OFF = ("0", "OFF")


class Unread(Exception):  # noqa: N818 - a state of the store, not a mistake
    """Why a member could not be read in full."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Who:
    """The server that answered: what tells it from every other one, and whether it takes writes."""

    server: str
    writable: bool


@dataclass(frozen=True)
class Holding:
    """What a member holds: the ids of the run by record, in the store's order where that has one.

    `contents`: by record, a digest of what is recorded under each id, where
    the store is multi-active and its records have content.
    """

    who: Who
    ids: dict[str, list[str]]
    contents: dict[str, dict[str, str]] = field(default_factory=dict)

    def content(self, record: str) -> dict[str, str]:
        """What is held under each id of a record: at least how many times it is there."""
        found = self.contents.get(record)
        return {name: str(n) for name, n in Counter(self.ids[record]).items()} if found is None else found


def hold(fleet: Fleet, store: Store, member: Member, login: Login, run: str, deadline: float) -> Holding:
    """Every id of the run (a short one) in each record. Raises Unread, after `deadline` seconds at the latest."""
    clock = _Clock(deadline)
    with _told():
        if store.kind == "redis":
            with redisdb.connect(fleet, store, member, login, min(STEP, deadline)) as client:
                return _from_redis(client, store, run, clock)
        with sql.connect(fleet, store, member, login, min(STEP, deadline)) as session:
            return _from_sql(session, store, run, clock)


def _from_sql(session: Sql, store: Store, run: str, clock: _Clock) -> Holding:
    who = _sql_server(session, store)
    ids: dict[str, list[str]] = {}
    contents: dict[str, dict[str, str]] = {}
    for name, record in store.records.items():
        found = ids[name] = list[str]()
        for page in session.pages(record.ids, [prefix(run) + "%"]):
            found += [_text(row[0]) for row in page]
            if store.multi_active and len(page[0]) > 1:
                _digest(contents.setdefault(name, {}), page)
            clock.check()
    return _still(who, _sql_server(session, store), Holding(who, ids, contents))


def _digest(content: dict[str, str], page: Sequence[tuple[object, ...]]) -> None:
    """Add the rows of a page; of an id with several, the order of the rows does not matter."""
    for row in page:
        name, own = _text(row[0]), hashlib.sha256(repr(row[1:]).encode()).hexdigest()[:16]
        content[name] = " ".join(sorted([*content[name].split(), own])) if name in content else own


def _sql_server(session: Sql, store: Store) -> Who:
    name = "@@server_uuid" if store.kind == "mysql" else "@@datadir"
    row = session.row(
        f"SELECT @@server_id AS id, @@hostname AS host, @@port AS port, @@read_only AS ro, {name} AS name"
    )
    server = f"server_id {row['id']} at {row['host']}:{row['port']} ({row['name']})"
    return Who(server, str(row["ro"]).upper() in _OFF)


def _from_redis(client: Redis, store: Store, run: str, clock: _Clock) -> Holding:
    who = _redis_server(client)
    ids = {name: sorted(_scan(client, record.ids, run, clock)) for name, record in store.records.items()}
    return _still(who, _redis_server(client), Holding(who, ids))


def _redis_server(client: Redis) -> Who:
    info = {**client.info("server"), **client.info("replication")}
    return Who(f"redis {info['run_id']}", info["role"] == "master")


def _scan(client: Redis, keys: str, run: str, clock: _Clock) -> set[str]:
    """The ids in keys such as `order:*`. SCAN may yield a key twice, and never leaves out one that was there."""
    head, _, tail = keys.partition("*")
    pattern = f"{_literal(head)}{prefix(run)}*{_literal(tail)}"
    found: set[str] = set()
    cursor = 0
    while True:
        cursor, page = client.scan(cursor, match=pattern, count=_PAGE)
        found.update(_text(key).removeprefix(head).removesuffix(tail) for key in page)
        clock.check()
        if cursor == 0:
            return found


def _literal(text: str) -> str:
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in text)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _still(before: Who, after: Who, found: Holding) -> Holding:
    if before != after:
        raise Unread(Reason.PARTIAL, f"changed while it was read: {before}, then {after}")
    return found


class _Clock:
    def __init__(self, deadline: float) -> None:
        self._deadline, self._end = deadline, time.monotonic() + deadline

    def check(self) -> None:
        if time.monotonic() > self._end:
            raise Unread(Reason.TIMEOUT, f"not read in full within {self._deadline:g} s")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (SqlError, RedisError) as error:
        raise Unread(Reason(error.kind), str(error)) from error
    except (ClientError, OSError, KeyError) as error:
        raise Unread(Reason.MALFORMED, f"{type(error).__name__}: {error}") from error
