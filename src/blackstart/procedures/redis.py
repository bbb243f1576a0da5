"""One Redis server in the hands of a step: look, fence, demote, compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from blackstart.fleet.redisdb import RedisError, connect
from blackstart.fleet.stores import Login
from blackstart.procedures.base import Deadline
from blackstart.procedures.reach import REACH, answers
from blackstart.procedures.site import Site

FENCE = "65535"
"""As min-replicas-to-write: no primary has so many replicas, so it refuses every write."""

_SETTING = "min-replicas-to-write"
_COMMAND = 10.0
_BATCH = 500


@dataclass(frozen=True)
class Key:
    """A key that the primary has not, or has with another value. `dump`: what RESTORE takes; `ttl` ms, 0 for ever."""

    name: bytes
    dump: bytes
    ttl: int
    absent: bool


class Server:
    """The server of one region. Every method raises StepError or RedisError."""

    def __init__(self, site: Site, region: str) -> None:
        self._site, self.region = site, region
        self.member = site.member(region)

    def __str__(self) -> str:
        return f"{self._site.name} in {self.region}"

    def answers(self) -> bool:
        """Whether it can be reached and asked. Raises for a refused login."""

        def ask() -> None:
            with self.session(REACH) as client:
                client.ping()

        return answers(ask)

    @contextmanager
    def session(self, deadline: float = _COMMAND) -> Iterator[redis.Redis]:
        """A client as `admin`; `deadline`: seconds for each command."""
        with connect(self._site.fleet, self._site.store, self.member, self._site.admin, deadline) as client:
            yield client

    def info(self) -> dict[str, Any]:
        """INFO replication."""
        with self.session() as client:
            found: dict[str, Any] = client.info("replication")
            return found

    @property
    def is_primary(self) -> bool:
        """It takes writes, but for a fence."""
        return bool(self.info()["role"] == "master")

    def follows(self, other: Server) -> bool:
        """Whether it is set up as the replica of another."""
        found = self.info()
        host, _, port = other.member.client_address.rpartition(":")
        return (found.get("master_host"), str(found.get("master_port"))) == (host, port)

    def fence(self) -> int:
        """Let it refuse every write, until it is `unfence`d or restarted; the offset after its last one."""
        with self.session() as client:
            before = client.config_get(_SETTING)[_SETTING]
            if before != FENCE:
                record = self._site.record
                fences = dict(record.fences) if record else {}
                self._site.note(fences={**fences, self.region: before})
                client.config_set(_SETTING, FENCE)
        return int(self.info()["master_repl_offset"])

    def unfence(self) -> None:
        """Take the fence away, where there is one."""
        record = self._site.record
        if record and self.region in record.fences:
            with self.session() as client:
                client.config_set(_SETTING, record.fences[self.region])
            self._site.note(fences={r: value for r, value in record.fences.items() if r != self.region})

    def open(self) -> None:
        """Be the primary."""
        with self.session() as client:
            command(client, "REPLICAOF", "NO", "ONE")
        self.unfence()

    def keep_role(self) -> str:
        """Have its role outlast a restart, by CONFIG REWRITE; where that fails, what there is to say of it."""
        try:
            with self.session() as client:
                command(client, "CONFIG", "REWRITE")
        except RedisError as error:
            return f"; a restart of {self} would take its role away, CONFIG REWRITE failed: {error}"
        return ""

    def follow(self, primary: Server, deadline: Deadline) -> str:
        """Become the replica of another and catch up; what `keep_role` says.

        What it has besides is discarded without a word.
        """
        host, _, port = primary.member.client_address.rpartition(":")
        self.log_in()
        if not self.follows(primary):
            with self.session() as client:
                command(client, "REPLICAOF", host, port)
        # A replica refuses writes by itself, and must not refuse them once it is promoted.
        self.unfence()
        kept = self.keep_role()
        self.reaches(int(primary.info()["master_repl_offset"]), deadline)
        return kept

    def log_in(self) -> None:
        """Let it know what it logs in to a primary with, where fleet.yaml says so."""
        login = self._site.store.replication or Login()
        with self.session() as client:
            if login.user:
                client.config_set("masteruser", login.user)
            if login.password:
                client.config_set("masterauth", login.password.reveal())

    def has(self, offset: int) -> bool:
        """Whether it is connected to its primary and has everything up to an offset."""
        found = self.info()
        up = found.get("master_link_status") == "up" and not found.get("master_sync_in_progress")
        return up and int(found.get("slave_repl_offset", 0)) >= offset

    def reaches(self, offset: int, deadline: Deadline) -> None:
        """Return once it `has`. Raises Late."""
        deadline.until(lambda: f"{self}: not in step with its primary", lambda: self.has(offset) or None)

    def is_past_of(self, primary: Server) -> bool:
        """Whether replication ids prove that all it ever had is in the other; after a restart nothing does."""
        mine, its = self.info(), primary.info()
        known = mine["master_replid"] == its.get("master_replid2")
        return known and int(mine["master_repl_offset"]) < int(its["second_repl_offset"])

    def surplus(self, primary: Server, deadline: Deadline) -> Iterator[Key]:
        """The keys that the primary has not, or has with another value. Both should take no writes meanwhile."""
        with self.session() as mine, primary.session() as its:
            cursor: Any = 0
            while True:
                deadline.check(f"{self}: comparing its keys")
                answer = command(mine, "SCAN", cursor, "COUNT", _BATCH, NEVER_DECODE=True)
                cursor, names = int(answer[0]), list(answer[1])
                here, there = _values(mine, names), _values(its, names)
                for name, (dump, ttl), (other, _) in zip(names, here, there, strict=True):
                    if dump is not None and dump != other:
                        yield Key(name, dump, max(0, ttl), other is None)
                if not cursor:
                    return


def command(client: redis.Redis, *words: object, **options: object) -> Any:
    """What the server answers to a command."""
    return client.execute_command(*words, **options)  # type: ignore[no-untyped-call]  # it has no types


def _values(client: redis.Redis, names: list[bytes]) -> list[tuple[bytes | None, int]]:
    pipe = client.pipeline(transaction=False)
    for name in names:
        command(pipe, "DUMP", name, NEVER_DECODE=True)
        command(pipe, "PTTL", name)
    found = pipe.execute() if names else []
    return [(found[i], int(found[i + 1])) for i in range(0, len(found), 2)]
