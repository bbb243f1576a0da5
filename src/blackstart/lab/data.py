"""The replicated stores of a lab: MariaDB and Redis in the first two regions. Their configuration. Pure.

Both come up without taking writes, whatever they were before: only `stores`
(at the start of a lab, after a restore) or a procedure makes a server primary.
In a multi-active lab both databases take writes and replicate from each other,
and each region has a cache of its own, which nothing replicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from blackstart.lab import ports
from blackstart.lab.parts import Parts
from blackstart.lab.processes import Part
from blackstart.lab.shell import LabError
from blackstart.lab.topology import RegionNet, Topology

Kind = Literal["mariadb", "redis"]
KINDS: tuple[Kind, ...] = ("mariadb", "redis")
DATABASE, CACHE = "orders-db", "orders-cache"
STORE_OF: dict[Kind, str] = {"mariadb": DATABASE, "redis": CACHE}
PORT_OF: dict[Kind, int] = {"mariadb": ports.MARIADB, "redis": ports.REDIS}

READER, ADMIN, REPLICATION, APP = "blackstart_reader", "blackstart_admin", "replicator", "orders"
USERS = (READER, ADMIN, REPLICATION, APP)

SOCKET = "@blackstart-mariadb"
"""An abstract one: each network namespace has its own, and the length of no path limits it."""
NOBODY = ("127.0.0.1", 1)
"""Where nothing listens: a Redis that replicates from there has its data and takes no writes."""

_SEMI_SYNC = """
rpl-semi-sync-master-wait-point = AFTER_SYNC
# An hour: waiting, never falling back to asynchronous by itself.
rpl-semi-sync-master-timeout = 3600000
rpl-semi-sync-slave-enabled = 1
"""


@dataclass(frozen=True)
class Site:
    """One region's servers. `address` and `peer` are the two ends of the link that replication runs over."""

    region: str
    number: int
    address: str
    peer: str
    primary: bool
    semi_sync: bool = False
    multi_active: bool = False

    @property
    def replicates(self) -> tuple[Kind, ...]:
        """The stores in which this server follows the other one."""
        if self.multi_active:
            return ("mariadb",)
        return () if self.primary else KINDS


def sites(net: Topology, semi_sync: bool = False, multi_active: bool = False) -> dict[str, Site]:
    """The sites of a lab by region, the primary first. Raises LabError for a single region."""
    if len(net.regions) < 2:
        raise LabError("stores replicate between two regions: name at least two in --regions")
    first, second = net.regions[:2]
    wire = net.wires[f"{first.name}-{second.name}"]

    def site(own: RegionNet, other: RegionNet) -> Site:
        ends = wire.end_of(own.name).address, wire.end_of(other.name).address
        return Site(own.name, own.number, *ends, own == first, semi_sync, multi_active)

    return {first.name: site(first, second), second.name: site(second, first)}


def mariadb_config(site: Site, folder: Path) -> str:
    """my.cnf. One GTID domain: one server writes at a time, and one that diverged is found by its positions.

    Where both write, each has a domain, and numbers rows as the other never does.
    """
    domain = site.number if site.multi_active else 0
    return f"""[mariadbd]
user = root
datadir = {folder}
tmpdir = {temporary(folder)}
socket = {SOCKET}
bind-address = 0.0.0.0
port = {ports.MARIADB}
skip-name-resolve
max-connections = 250
server-id = {site.number}
gtid-domain-id = {domain}
gtid-strict-mode = 1
log-bin = bin
binlog-format = ROW
log-slave-updates
relay-log = relay
sync-binlog = 1
innodb-flush-log-at-trx-commit = 1
read-only = 1
skip-slave-start
slave-net-timeout = 5
performance-schema = 0
innodb-buffer-pool-size = 32M
innodb-log-file-size = 16M
key-buffer-size = 1M
aria-pagecache-buffer-size = 1M
{_SEMI_SYNC if site.semi_sync else ""}{_numbers(site) if site.multi_active else ""}"""


def _numbers(site: Site) -> str:
    return f"auto-increment-increment = 2\nauto-increment-offset = {1 if site.primary else 2}\n"


def temporary(folder: Path) -> Path:
    """Its own, beside the data: a server that starts clears others' temporary tables away."""
    return folder.with_name("mariadb-tmp")


def mariadb(parts: Parts, config: Path) -> Part:
    return Part("mariadb", [str(parts.stores["mariadbd"]), f"--defaults-file={config}"])


def schema(passwords: Mapping[str, str]) -> str:
    """What the primary of a new lab is told; the replica learns it by replication. Holds passwords."""
    grants = {
        READER: "GRANT REPLICA MONITOR, BINLOG MONITOR ON *.* TO {user}; GRANT SELECT ON shop.* TO {user};",
        # Rebuilding a server writes everything, its users too.
        ADMIN: "GRANT ALL PRIVILEGES ON *.* TO {user};",
        REPLICATION: "GRANT REPLICATION REPLICA ON *.* TO {user};",
        APP: "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO {user};",
    }
    users = "\n".join(
        f"CREATE USER {user}@'%' IDENTIFIED BY '{passwords[user]}'; {grants[user].format(user=f"{user}@'%'")}"
        for user in USERS
    )
    name = "VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
    at = "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)"
    return f"""CREATE DATABASE shop;
CREATE TABLE shop.orders (n BIGINT AUTO_INCREMENT PRIMARY KEY, request_id {name} UNIQUE, placed {at});
CREATE TABLE shop.outbox (n BIGINT AUTO_INCREMENT PRIMARY KEY, request_id {name} UNIQUE);
CREATE TABLE shop.events (position BIGINT AUTO_INCREMENT PRIMARY KEY, id {name} UNIQUE, appended {at});
{users}
"""


def source(site: Site, password: str) -> str:
    """What a server is told of the one that it follows. Holds the password."""
    return (
        f"CHANGE MASTER TO master_host='{site.peer}', master_port={ports.MARIADB}, master_user='{REPLICATION}', "
        f"master_password='{password}', master_use_gtid=slave_pos, master_heartbeat_period=1, master_connect_retry=1;"
    )


def lead(site: Site) -> str:
    """Makes a server take writes; each waits for the replica from the first on, where it shall."""
    if site.multi_active:
        return "START SLAVE; SET GLOBAL read_only=0;"
    wait = "SET GLOBAL rpl_semi_sync_master_enabled=1; " if site.semi_sync else ""
    return f"{wait}SET GLOBAL read_only=0;"


def redis_config(site: Site, folder: Path, passwords: Mapping[str, str]) -> str:
    """redis.conf; `replicaof` in it is the role that lasts, which CONFIG REWRITE changes. Holds a password."""
    replica = f"replicaof {site.peer} {ports.REDIS}\n" if "redis" in site.replicates else ""
    return f"""bind 0.0.0.0
port {ports.REDIS}
protected-mode no
dir "{folder}"
aclfile "{folder / "users.acl"}"
appendonly yes
appendfsync everysec
save ""
repl-timeout 5
repl-ping-replica-period 1
repl-diskless-sync-delay 0
repl-backlog-size 16mb
masteruser {REPLICATION}
masterauth {passwords[REPLICATION]}
{replica}"""


def redis_users(passwords: Mapping[str, str]) -> str:
    """The ACL file: passwords as their SHA-256."""
    rules = {
        # Not CONFIG GET, which would tell the password of replication.
        READER: "~* &* +@read +@connection +info +role",
        ADMIN: "~* &* +@all",
        REPLICATION: "+psync +replconf +ping",
        APP: "~order:* +@read +@write +@connection +role +info +wait",
    }
    lines = ["user default off"]
    lines += [f"user {user} on #{sha256(passwords[user].encode()).hexdigest()} {rules[user]}" for user in USERS]
    return "\n".join(lines) + "\n"


def redis(parts: Parts, config: Path) -> Part:
    """It starts as nobody's replica, whatever its configuration says."""
    host, port = NOBODY
    return Part("redis", [str(parts.stores["redis-server"]), str(config), "--replicaof", host, str(port)])


def lasting_source(kind: Kind, text: str) -> str | None:
    """The address that a server replicates from by its files (master.info, redis.conf); None when it leads."""
    lines = text.splitlines()
    if kind == "mariadb":
        # Number of lines, log, position, host.
        return (lines[3].strip() or None) if len(lines) > 3 else None
    found = [line.split()[1] for line in lines if line.lower().startswith("replicaof ")]
    return found[-1] if found else None


@dataclass(frozen=True)
class Seen:
    """What a server is. `source`: whom it replicates from by settings that outlast it; None: it leads, or led."""

    region: str
    answers: bool
    writable: bool
    source: str | None


def decide(seen: list[Seen], sites: Mapping[str, Site]) -> dict[str, Literal["lead", "follow"]]:
    """What servers that came back are to do: as before, but never two primaries, and never a promotion.

    A server that led leads again only where no other led or takes writes: one
    that was promoted meanwhile has no source any more. One that followed goes
    on following a server that takes writes. Everything else stays as it is.
    In a multi-active lab every server leads.
    """
    if any(site.multi_active for site in sites.values()):
        return {server.region: "lead" for server in seen if server.answers}
    orders: dict[str, Literal["lead", "follow"]] = {}
    writable = {s.region for s in seen if s.writable}
    leaders = [s for s in seen if s.source is None]
    if not writable and len(leaders) == 1 and leaders[0].answers:
        orders[leaders[0].region] = "lead"
        writable = {leaders[0].region}
    addresses = {sites[region].address for region in writable}
    for server in seen:
        if server.answers and server.region not in writable and server.source in addresses:
            orders[server.region] = "follow"
    return orders
