"""Rules about MariaDB and MySQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from blackstart.plan.data.model import DataConfig, Server
from blackstart.plan.rules import Rules
from blackstart.schema.errors import Finding

RULES: Rules[DataConfig] = Rules()

_MARIADB = "https://mariadb.com/docs/server/ha-and-performance/standard-replication"
_MYSQL = "https://dev.mysql.com/doc/refman/8.4/en"
_MASTER = ("rpl_semi_sync_source_enabled", "rpl_semi_sync_master_enabled")
_SLAVE = ("rpl_semi_sync_replica_enabled", "rpl_semi_sync_slave_enabled")
_TIMEOUT = ("rpl_semi_sync_source_timeout", "rpl_semi_sync_master_timeout")
_WAIT_POINT = ("rpl_semi_sync_source_wait_point", "rpl_semi_sync_master_wait_point")
_AN_HOUR = 3_600_000


def _is_replica(server: Server) -> bool:
    return server.replica if server.replica is not None else server.on("read_only", "super_read_only")


def _sources(data: DataConfig) -> Iterator[Server]:
    """Servers that take writes now; each of several takes them after its promotion, but is not asked that here."""
    return (server for server in data.sql() if not _is_replica(server))


@RULES.add(
    "BSD101",
    "error",
    "The source writes every schema into its binary log.",
    why="What is left out never reaches a replica: after a failover it is lost, without an error. Statements are "
    "judged by the current database, not by the one that they change.",
    fix="remove it; where something must not be replicated, filter at the replica by table",
    link=f"{_MYSQL}/replication-options-binary-log.html#option_mysqld_binlog-do-db",
)
def _binlog_filter(data: DataConfig) -> Iterator[Finding]:
    for server in data.sql():
        for name in ("binlog_do_db", "binlog_ignore_db"):
            if (found := server.get(name)) and found.value:
                names = ", ".join(setting.value for setting in server.settings[name])
                other = "all other schemas are" if name == "binlog_do_db" else "it is"
                yield server.finding(f"{name.replace('_', '-')} {names}: {other} not in the log", name)


@RULES.add(
    "BSD102",
    "warning",
    "A replica that may be promoted leaves nothing out.",
    why="What it does not apply is lost when it becomes the primary.",
    fix="remove the filter, or do not promote this server",
    link=f"{_MYSQL}/replication-rules.html",
)
def _replica_filter(data: DataConfig) -> Iterator[Finding]:
    names = [
        f"replicate_{how}{what}" for how in ("do_", "ignore_", "wild_do_", "wild_ignore_") for what in ("db", "table")
    ]
    for server in data.sql():
        for name in names:
            if (found := server.get(name)) and found.value:
                yield server.finding(f"{name.replace('_', '-')} {found.value}", name)


@RULES.add(
    "BSD103",
    "warning",
    "Every server that may become the primary keeps a binary log, with what it applied.",
    why="Without it nobody can follow it after its promotion, and the old primary cannot come back without a copy.",
    fix="set log-bin and log-slave-updates (MySQL 8 has both unless told otherwise)",
    link=_MARIADB,
)
def _log(data: DataConfig) -> Iterator[Finding]:
    for server in data.sql():
        default = server.dialect == "mysql"
        found = server.get("log_bin")
        # `log-bin = NAME` switches it on.
        if not (default if found is None else found.value.lower() not in ("0", "off")):
            yield server.finding("it has no binary log", "log_bin")
        elif not server.on("log_replica_updates", "log_slave_updates", default=default):
            yield server.finding("what it applies is not in its log", "log_replica_updates", "log_slave_updates")


@RULES.add(
    "BSD111",
    "error",
    "Replicas find their place by GTID.",
    why="A file and a position mean nothing at another server: after a failover nobody knows what a replica lacks.",
    fix="MySQL: gtid_mode, enforce_gtid_consistency, SOURCE_AUTO_POSITION=1; MariaDB: MASTER_USE_GTID=slave_pos",
    link=f"{_MYSQL}/replication-gtids.html",
)
def _gtid(data: DataConfig) -> Iterator[Finding]:
    for server in data.sql():
        if server.dialect == "mysql" and not server.on("gtid_mode"):
            yield server.finding("gtid_mode is not ON", "gtid_mode")
        if server.dialect == "unknown":
            yield server.finding("neither gtid_mode=ON (MySQL) nor gtid_strict_mode=ON (MariaDB)")
    for statement in data.statements:
        words = statement.words.upper().replace(" ", "")
        by_gtid = any(text in words for text in ("_USE_GTID=SLAVE_POS", "_USE_GTID=CURRENT_POS", "_AUTO_POSITION=1"))
        if statement.kind == "change" and not by_gtid:
            yield Finding(statement.place, (), "replication is set up by file and position, or does not say by what")


@RULES.add(
    "BSD112",
    "error",
    "MariaDB keeps its GTIDs in order (gtid_strict_mode).",
    why="Without it a server that took a write by mistake goes on replicating, and the two have parted unnoticed.",
    fix="set gtid_strict_mode=ON",
    link=f"{_MARIADB}/gtid#gtid_strict_mode",
)
def _strict(data: DataConfig) -> Iterator[Finding]:
    for server in data.sql():
        if server.dialect == "mariadb" and not server.on("gtid_strict_mode"):
            yield server.finding("gtid_strict_mode is not ON", "gtid_strict_mode")


@RULES.add(
    "BSD121",
    "error",
    "Every server has a server id of its own.",
    why="A server ignores what carries its own id: with the same one twice, writes vanish.",
    fix="give each another server-id",
    link=f"{_MYSQL}/replication-options.html#sysvar_server_id",
)
def _server_ids(data: DataConfig) -> Iterator[Finding]:
    yield from _same(data.sql(), "server_id", "server-id", "1")


@RULES.add(
    "BSD122",
    "error",
    "MariaDB servers that take writes at the same time have GTID domains of their own.",
    why="In one domain the two histories take the same numbers, and what one has hides what it lacks of the other.",
    fix="give each another gtid_domain_id, or let one of them be read_only",
    link=f"{_MARIADB}/gtid",
)
def _domains(data: DataConfig) -> Iterator[Finding]:
    yield from _same((s for s in _sources(data) if s.get("gtid_domain_id")), "gtid_domain_id", "gtid_domain_id", "0")


@RULES.add(
    "BSD123",
    "error",
    "Servers that take writes at the same time number rows apart (auto_increment_increment, auto_increment_offset).",
    why="Else both give the same key to different rows, and replication stops at the first: error 1062.",
    fix="set auto_increment_increment to the number of servers or more, and another auto_increment_offset at each",
    link="https://mariadb.com/docs/server/reference/data-types/auto_increment",
)
def _numbers(data: DataConfig) -> Iterator[Finding]:
    for group in _active(data):
        taken: dict[tuple[int, int], Server] = {}
        for server in group:
            step = server.number("auto_increment_increment", default=1)
            if step < len(group):
                text = f"auto_increment_increment is {step}, where {len(group)} servers take writes"
                yield server.finding(text, "auto_increment_increment")
                continue
            place = (step, server.number("auto_increment_offset", default=1) % step)
            if (other := taken.setdefault(place, server)) is not server:
                yield server.finding(f"it numbers rows as {other.name} does", "auto_increment_offset")


@RULES.add(
    "BSD124",
    "error",
    "Of servers that take writes at the same time, each follows another one.",
    why="Where one follows nobody, what the others acknowledge never comes to it.",
    fix="set replication up both ways",
    link=f"{_MARIADB}/multi-master-ring-replication",
)
def _both_ways(data: DataConfig) -> Iterator[Finding]:
    for server in (server for group in _active(data) for server in group):
        if server.live and not server.replica:
            yield server.finding("it takes writes as others do, and follows nobody")


def _active(data: DataConfig) -> Iterator[list[Server]]:
    """Servers that are meant to take writes at the same time: by fleet.yaml, or in files by their GTID domains."""
    groups: dict[str, list[Server]] = defaultdict(list)
    for server in data.sql():
        if server.active:
            groups[server.active].append(server)
        elif not server.live and server.get("gtid_domain_id") and not server.on("read_only", "super_read_only"):
            groups[""].append(server)
    return (group for group in groups.values() if len(group) > 1)


def _same(servers: Iterator[Server], name: str, title: str, default: str) -> Iterator[Finding]:
    groups: dict[str, list[Server]] = defaultdict(list)
    for server in servers:
        found = server.get(name)
        groups[found.value if found else default].append(server)
    for value, group in groups.items():
        for server in group[1:]:
            yield server.finding(f"{title} {value}, as {group[0].name}", name)


@RULES.add(
    "BSD131",
    "error",
    "Of several servers one takes writes: the others are read_only.",
    why="A client that is sent to the wrong server writes there, and that write is nowhere else.",
    fix="set read_only=ON (MySQL: super_read_only=ON) at replicas; where all take writes, a gtid_domain_id at each",
    link=f"{_MYSQL}/server-system-variables.html#sysvar_read_only",
)
def _writable(data: DataConfig) -> Iterator[Finding]:
    servers = list(data.sql())
    writable = [server for server in servers if not server.on("read_only", "super_read_only")]
    if any(server.live for server in servers):
        domains = [server.number("gtid_domain_id", default=0) for server in writable]
        replicas = [server for server in writable if server.replica] if len(set(domains)) < len(writable) else []
    else:
        # The first one is taken for the primary; those that have domains are meant to take writes.
        replicas = [server for server in writable if not server.get("gtid_domain_id")][1:]
    for server in replicas:
        yield server.finding("it is not read_only, and follows another", "read_only")


@RULES.add(
    "BSD141",
    "error",
    "Where nothing may be lost (--rpo 0s), replication is semi-synchronous on both sides.",
    why="Else a write is acknowledged before any other server has it, and lost when the region is lost then.",
    fix="enable rpl_semi_sync_master (MySQL: rpl_semi_sync_source) and the replica's side on every server",
    link=f"{_MYSQL}/replication-semisync.html",
)
def _semi_sync(data: DataConfig) -> Iterator[Finding]:
    for server in data.sql() if data.said.nothing_lost else ():
        wanted = _SLAVE if _is_replica(server) else _MASTER
        if not server.on(*wanted):
            name = wanted[0] if server.dialect == "mysql" else wanted[1]
            yield server.finding(f"{name} is not ON", *wanted)


@RULES.add(
    "BSD142",
    "error",
    "Where nothing may be lost (--rpo 0s), semi-synchronous replication waits for an hour or more.",
    why="After the timeout (10 s unless set) it acknowledges without a replica, just while one is out of reach.",
    fix="set rpl_semi_sync_master_timeout=3600000 or more, and know that writes wait as long as the link is cut",
    link=f"{_MYSQL}/replication-semisync.html",
)
def _semi_sync_timeout(data: DataConfig) -> Iterator[Finding]:
    for server in _sources(data) if data.said.nothing_lost else ():
        if server.on(*_MASTER) and (found := server.number(*_TIMEOUT, default=10_000)) < _AN_HOUR:
            yield server.finding(f"it falls back after {found / 1000:g} s", *_TIMEOUT)


@RULES.add(
    "BSD143",
    "warning",
    "Where nothing may be lost (--rpo 0s), a write is seen by others only once a replica has it (AFTER_SYNC).",
    why="AFTER_COMMIT, MariaDB's default, shows others a write that a failover then takes back.",
    fix="set the wait point to AFTER_SYNC",
    link=f"{_MYSQL}/replication-options-source.html#sysvar_rpl_semi_sync_source_wait_point",
)
def _wait_point(data: DataConfig) -> Iterator[Finding]:
    for server in _sources(data) if data.said.nothing_lost else ():
        found = server.get(*_WAIT_POINT)
        point = found.value.upper() if found else "AFTER_COMMIT" if server.dialect == "mariadb" else "AFTER_SYNC"
        if server.on(*_MASTER) and point != "AFTER_SYNC":
            yield server.finding(f"its wait point is {point}", *_WAIT_POINT)


@RULES.add(
    "BSD151",
    "warning",
    "A commit is on the disk, in the log and in the tables, before it is acknowledged.",
    why="Else a crash loses acknowledged writes, or those that replicas have already: the two have parted then.",
    fix="set sync_binlog=1 (MariaDB's default is 0) and innodb_flush_log_at_trx_commit=1",
    link=f"{_MYSQL}/replication-solutions-unexpected-replica-halt.html",
)
def _durable(data: DataConfig) -> Iterator[Finding]:
    for server in data.sql():
        defaults = {"sync_binlog": 0 if server.dialect == "mariadb" else 1, "innodb_flush_log_at_trx_commit": 1}
        for name, default in defaults.items():
            if (found := server.number(name, default=default)) != 1:
                yield server.finding(f"{name} is {found}", name)


@RULES.add(
    "BSD161",
    "error",
    "No password is in a file in plain text.",
    why="Whoever may read the configuration, or its history, may read or replace the data.",
    fix="take it out and change it; Kubernetes has Secrets, MySQL's client a login path, Redis `user .. #hash`",
)
def _passwords(data: DataConfig) -> Iterator[Finding]:
    for secret in data.secrets:
        yield Finding(secret.place, (), f"{secret.what} stands here in plain text")
