"""Rules about Redis."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.data.model import DataConfig
from blackstart.plan.rules import Rules
from blackstart.schema.errors import Finding

RULES: Rules[DataConfig] = Rules()

_REPLICATION = "https://redis.io/docs/latest/operate/oss_and_stack/management/replication/"


@RULES.add(
    "BSD201",
    "error",
    "Where nothing may be lost (--rpo 0s), a Redis refuses writes while no replica is there.",
    why="A primary that is cut off goes on to acknowledge writes, and the replica's return discards them silently. "
    "This bounds the loss to about min-replicas-max-lag; only clients that WAIT for a replica lose nothing.",
    fix="set min-replicas-to-write 1 and min-replicas-max-lag 2, and let clients use WAIT",
    link=_REPLICATION,
)
def _min_replicas(data: DataConfig) -> Iterator[Finding]:
    for server in data.redis() if data.said.nothing_lost else ():
        if server.number("min_replicas_to_write", default=0) < 1:
            yield server.finding("min-replicas-to-write is 0", "min_replicas_to_write")
        elif server.number("min_replicas_max_lag", default=10) == 0:
            yield server.finding("min-replicas-max-lag 0 switches min-replicas-to-write off", "min_replicas_max_lag")


@RULES.add(
    "BSD202",
    "warning",
    "A Redis keeps an append-only file.",
    why="Without it a restart goes back to the last snapshot, or to nothing, and its replicas follow it there.",
    fix="set appendonly yes",
    link="https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/",
)
def _append_only(data: DataConfig) -> Iterator[Finding]:
    for server in data.redis():
        if not server.on("appendonly"):
            yield server.finding("appendonly is no", "appendonly")


@RULES.add(
    "BSD203",
    "error",
    "A Redis replica takes no writes.",
    why="What is written to a replica is nowhere else, and gone at the next full copy.",
    fix="set replica-read-only yes",
    link=_REPLICATION,
)
def _read_only(data: DataConfig) -> Iterator[Finding]:
    for server in data.redis():
        if not server.on("replica_read_only", default=True):
            yield server.finding("replica-read-only is no", "replica_read_only")


@RULES.add(
    "BSD211",
    "error",
    "An Active-Active database is made by crdb-cli.",
    why="rladmin has no command that makes one: what it makes, if anything, is a database of one cluster.",
    fix="use: crdb-cli crdb create --name .. --memory-size .. --replication true --instance fqdn=.. for each cluster",
    link="https://redis.io/docs/latest/operate/rs/references/cli-utilities/crdb-cli/crdb/create/",
)
def _active_active(data: DataConfig) -> Iterator[Finding]:
    for statement in data.statements:
        if statement.kind == "rladmin" and "crdt" in statement.words:
            yield Finding(statement.place, (), "rladmin create db with crdt options makes no Active-Active database")
