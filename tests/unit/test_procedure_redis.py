"""Promotion and fail-back of real Redis servers: what only one of them has is never discarded without a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import ResponseError
from stepkit import a_work, do, killed_before
from storekit import Pair, Redis, redis_pair, wait_until

from blackstart.evidence.undo import Store
from blackstart.procedures.base import Diverged, StepError, Work
from blackstart.safety.away import settle

PROMOTE = {"store": "cache", "to": "standby"}
REJOIN = {"store": "cache", "region": "primary"}
HOME = {"store": "cache", "to": "primary"}


def keys(server: Redis) -> set[str]:
    with server.client() as client:
        return set(client.keys("*"))


def put(server: Redis, *names: str) -> None:
    with server.client() as client:
        for name in names:
            client.set(name, "x")


def role(server: Redis) -> str:
    return str(server.info()["role"])


def test_a_living_primary_is_fenced_and_nothing_is_lost(tmp_path: Path) -> None:
    with redis_pair(tmp_path) as pair:
        work = a_work(tmp_path, cache=pair)
        put(pair.us, "order:1", "order:2")
        assert "eu has all of it" in do(work, promote=PROMOTE)
        assert keys(pair.eu) == {"order:1", "order:2"}
        with pytest.raises(ResponseError, match="NOREPLICAS"):
            put(pair.us, "order:3")
        put(pair.eu, "order:4")
        do(work, rejoin=REJOIN)
        assert keys(pair.us) == keys(pair.eu)
        do(work, switch_back=HOME)
        put(pair.us, "order:5")
        wait_until("replication", lambda: "order:5" in keys(pair.eu))
        assert work.promotions.read() == ([], [])
        assert "it takes writes already" in do(work, switch_back=HOME)


def diverged(pair: Pair[Redis], work: Work) -> None:
    """eu is promoted without order:2, which us has acknowledged."""
    put(pair.us, "order:1")
    wait_until("replication", lambda: keys(pair.eu) == {"order:1"})
    pair.wire.cut()
    put(pair.us, "order:2")
    with pair.us.client() as client:
        client.set(b"order:\xff", b"\x00\xff", ex=1000)
    pair.us.kill()
    do(work, promote=PROMOTE)
    put(pair.eu, "order:3")
    pair.us.start()
    pair.wire.heal()


def test_what_only_the_old_primary_has_is_told_and_salvaged(tmp_path: Path) -> None:
    with redis_pair(tmp_path, appendfsync="always") as pair:
        work = a_work(tmp_path, cache=pair)
        diverged(pair, work)
        with pytest.raises(Diverged, match="2 keys that the primary has not and 0 with another value"):
            do(work, rejoin=REJOIN)
        with pair.us.client() as client:
            assert client.exists("order:2")
        assert "salvaged 2 keys" in do(work, rejoin={**REJOIN, "diverged": "rebuild"})
        assert keys(pair.us) == {"order:1", "order:3"}
        file = tmp_path / "run/salvage/cache-us.keys.ndjson"
        assert file.stat().st_mode & 0o777 == 0o600
        saved = [json.loads(line) for line in file.read_text().splitlines()]
        assert sorted(line["key"] for line in saved) == ["order:2", "order:\\xff"]
        do(work, switch_back=HOME)
        put(pair.us, "order:4")


def test_a_primary_that_nobody_made_is_refused(tmp_path: Path) -> None:
    with redis_pair(tmp_path) as pair:
        with pair.eu.client() as client:
            client.replicaof("NO", "ONE")
        with pytest.raises(StepError, match="two primaries"):
            do(a_work(tmp_path, cache=pair), promote=PROMOTE)


def test_a_promotion_that_never_came_about_is_called_off(tmp_path: Path) -> None:
    with redis_pair(tmp_path) as pair:
        work = a_work(tmp_path, cache=pair)
        pair.wire.cut()
        put(pair.us, "order:1")
        with pytest.raises(StepError, match="did not receive everything"):
            do(work, promote=PROMOTE, deadline=1.0)
        with pytest.raises(ResponseError, match="NOREPLICAS"):
            put(pair.us, "order:2")
        assert not settle(Store(tmp_path / "state"), lambda text: None)
        pair.wire.heal()
        assert "called off" in do(work, switch_back=HOME)
        put(pair.us, "order:2")
        wait_until("replication", lambda: keys(pair.eu) == {"order:1", "order:2"})
        assert work.promotions.read() == ([], [])


def restart(server: Redis) -> None:
    """With the configuration that it left."""
    server.kill()
    server.spawn("redis-server", f"{server.folder}/redis.conf")
    wait_until("an answer", lambda: role(server) in ("master", "slave"))


def test_roles_outlast_a_restart(tmp_path: Path) -> None:
    with redis_pair(tmp_path) as pair:
        work = a_work(tmp_path, cache=pair)
        do(work, promote=PROMOTE)
        restart(pair.eu)
        assert role(pair.eu) == "master"
        put(pair.eu, "order:1")
        do(work, rejoin=REJOIN)
        restart(pair.us)
        assert role(pair.us) == "slave"
        wait_until("replication", lambda: keys(pair.us) == {"order:1"})
        do(work, switch_back=HOME)
        for server in (pair.us, pair.eu):
            restart(server)
        assert (role(pair.us), role(pair.eu)) == ("master", "slave")
        put(pair.us, "order:2")


def test_a_role_that_cannot_be_kept_is_told_and_no_failure(tmp_path: Path) -> None:
    with redis_pair(tmp_path) as pair:
        work = a_work(tmp_path, cache=pair)
        (pair.eu.folder / "redis.conf").unlink()
        (pair.eu.folder / "redis.conf").mkdir()
        assert "would take its role away, CONFIG REWRITE failed" in do(work, promote=PROMOTE)
        assert role(pair.eu) == "master"


def each_command(strike: Callable[[], None]) -> None:
    """Have the steps of this process call `strike` before each command."""
    send = redis.Connection.send_command

    def patched(self: redis.Connection, *args: Any, **options: Any) -> None:
        if args[0] not in ("AUTH", "CLIENT", "HELLO"):
            strike()
        send(self, *args, **options)

    redis.Connection.send_command = patched  # type: ignore[method-assign]


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.full)])
def test_killed_at_any_command_steps_go_on(tmp_path: Path, stride: int) -> None:
    with redis_pair(tmp_path) as pair:
        work = a_work(tmp_path, cache=pair)
        steps: list[dict[str, Any]] = [{"promote": PROMOTE}, {"rejoin": REJOIN}, {"switch_back": HOME}]
        for step in steps:
            number, killed = 0, True
            while killed:
                number += stride
                for earlier in steps[: steps.index(step)]:
                    do(work, **earlier)
                name = f"{next(iter(step))}-{number}"
                put(pair.us if step is steps[0] else pair.eu, name)
                killed = killed_before(number, each_command, lambda step=step: do(work, **step))  # type: ignore[misc]
                for later in steps[steps.index(step) :]:
                    do(work, **later)
                assert (role(pair.us), role(pair.eu)) == ("master", "slave")
                assert name in keys(pair.us)
                put(pair.us, f"{name}-after")
                wait_until("replication", lambda: keys(pair.us) == keys(pair.eu))
            assert number > 5
