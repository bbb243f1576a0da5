"""What faults of replicated stores ask of fleet.yaml and of the servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from blackstart.faults import roles
from blackstart.faults.base import FaultError
from blackstart.fleet import redisdb, sql
from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Login, Member, Store
from blackstart.probes.base import NoData
from blackstart.probes.replica import Replica, replica
from blackstart.schema.base import Model

DEADLINE = 10.0
"""Seconds for a statement: a receiver that is about to connect stops only after its attempt."""


class Where(Model):
    """A member of a store: the store's name and its region."""

    store: str
    region: str

    def __str__(self) -> str:
        return f"{self.store}/{self.region}"


def where(fleet: Fleet, args: dict[str, object]) -> Where:
    """The member that `store` and `region` name by role. Raises FaultError."""
    name, region = roles.store(fleet, args["store"]), roles.region(fleet, args["region"])
    if region not in fleet.stores[name].members:
        known = ", ".join(fleet.stores[name].members)
        raise FaultError(f"fleet {fleet.fleet!r}: store {name!r} has no member in {region!r}; it has: {known}")
    return Where(store=name, region=region)


def parts(fleet: Fleet, at: Where) -> tuple[Store, Member]:
    """The store and its member. Raises FaultError when fleet.yaml has lost them since."""
    store = fleet.stores.get(at.store)
    member = store.members.get(at.region) if store else None
    if store is None or member is None:
        raise FaultError(f"fleet {fleet.fleet!r}: {at} is not there any more; name the right file with --fleet")
    return store, member


def admin(fleet: Fleet, at: Where) -> Login:
    """Who may change the store's replication. Raises FaultError."""
    found = parts(fleet, at)[0].admin
    if found is None:
        raise FaultError(
            f"fleet {fleet.fleet!r}: stores.{at.store} has no `admin`; add a user that may change replication"
        )
    return found


@contextmanager
def sql_session(fleet: Fleet, at: Where, login: Login) -> Iterator[sql.Sql]:
    """A session with a MariaDB or MySQL member. Raises SqlError, FaultError."""
    store, member = parts(fleet, at)
    with sql.connect(fleet, store, member, login, DEADLINE) as session:
        yield session


@contextmanager
def redis_client(fleet: Fleet, at: Where, login: Login) -> Iterator[redis.Redis]:
    """A client of a Redis member. Raises RedisError, FaultError."""
    store, member = parts(fleet, at)
    with redisdb.connect(fleet, store, member, login, DEADLINE) as client:
        yield client


def replication(session: sql.Sql, fleet: Fleet, at: Where) -> Replica | None:
    """What a MariaDB or MySQL member says of its replication. Raises SqlError, FaultError."""
    try:
        return replica(session, parts(fleet, at)[0].kind)
    except NoData as error:
        raise FaultError(f"{at}: {error}") from None
