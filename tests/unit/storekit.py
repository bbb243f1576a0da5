"""Real MariaDB and Redis servers on 127.0.0.1, replicated us -> eu, and a fleet of them.

Everything is in a temporary folder and ends with its `with`, and with this
process if that is killed. Replicas reach their primary by a `Wire` that a
test can cut without a word.
"""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from atexit import register
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
import redis
import yaml
from pymysql.cursors import DictCursor

from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet

PATIENCE = 60.0
"""Seconds for what takes well under one: the machine may be busy."""

READER, ADMIN, REPL, APP = "bs_reader", "bs_admin", "bs_repl", "app"
PASSWORDS = {READER: "read-Pw0", ADMIN: "admin-Pw1", REPL: "repl-Pw2", APP: "app-Pw3"}

MARIADB_READER = "REPLICA MONITOR, BINLOG MONITOR, SELECT"
MARIADB_ADMIN = "ALL PRIVILEGES"

_SCHEMA = """
CREATE DATABASE shop;
CREATE TABLE shop.orders (n BIGINT AUTO_INCREMENT PRIMARY KEY, id VARCHAR(80) NOT NULL UNIQUE,
  at DATETIME(6) NOT NULL DEFAULT NOW(6));
CREATE TABLE shop.events LIKE shop.orders;
"""


def wait_until(what: str, look: Callable[[], object], patience: float = PATIENCE) -> None:
    """Return once `look` is true."""
    ends = time.monotonic() + patience
    while not look():
        assert time.monotonic() < ends, f"{what}: not within {patience:g} s"
        time.sleep(0.02)


def free_port() -> int:
    """A port that no outgoing connection is given by chance before a server has it."""
    while True:
        port = secrets.choice(range(12_000, 32_000))
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


class Wire:
    """A TCP forwarder to `port`: `cut` and everything on it, old and new, is silent; `heal` and it goes on."""

    def __init__(self, port: int) -> None:
        self.to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.address = f"127.0.0.1:{self.port}"
        self._open, self._ended = threading.Event(), threading.Event()
        self._open.set()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        self._open.clear()

    def heal(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._ended.set()
        self._open.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for sock in [self._listener, *self._sockets]:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for sock in [self._listener, *self._sockets]:
            sock.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(near)
            self._start(self._serve, near)

    def _serve(self, near: socket.socket) -> None:
        self._open.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self.to), 5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        self._sockets.append(far)
        self._start(self._pump, near, far)
        self._pump(far, near)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._open.wait()
                sink.sendall(data)
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()


@dataclass
class Server:
    """One server process; `options` are its configuration and may be changed before a `start`."""

    region: str
    folder: Path
    port: int
    options: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def spawn(self, *command: str) -> None:
        log = (self.folder / "log").open("ab")
        with log:
            # Its end must not depend on this process ending well.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """As a crash would."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """In order."""
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def _await(self, up: Callable[[], object]) -> None:
        def look() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            with suppress(pymysql.Error, redis.RedisError, OSError):
                up()
                return True
            return False

        wait_until(f"{self.folder} up", look)


class MariaDb(Server):
    """`sql` speaks as root by the socket, in a session of its own each time."""

    def start(self, *flags: str) -> MariaDb:
        lines = [key if value == "" else f"{key}={value}" for key, value in self.options.items()]
        (self.folder / "my.cnf").write_text("\n".join(["[mariadbd]", *lines, ""]))
        self.spawn("mariadbd", f"--defaults-file={self.folder}/my.cnf", *flags)
        self._await(lambda: self.sql("SELECT 1"))
        return self

    def sql(self, statement: str, *args: object) -> list[dict[str, Any]]:
        with ExitStack() as stack:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            # By hand: PyMySQL leaves a socket open that does not connect.
            sock.connect(f"{self.folder}/sock")
            session = pymysql.connect(user="root", autocommit=True, cursorclass=DictCursor, defer_connect=True)
            session.connect(sock)
            stack.callback(session.close)
            cursor = stack.enter_context(session.cursor())
            cursor.execute(statement, args or None)
            return list(cursor.fetchall())

    def status(self) -> dict[str, Any]:
        """Of its one replication; empty when it has none."""
        return next(iter(self.sql("SHOW ALL SLAVES STATUS")), {})

    def insert(self, *ids: str, table: str = "orders") -> None:
        for name in ids:
            self.sql(f"INSERT INTO shop.{table} (id) VALUES (%s)", name)  # noqa: S608 - a table of ours


class Redis(Server):
    """`client` speaks as the application: may everything."""

    def start(self) -> Redis:
        lines = [f"{key} {value}" for key, value in self.options.items()]
        acl = [
            f"user {READER} on >{PASSWORDS[READER]} ~* resetchannels -@all +@read +info +ping +config|get",
            f"user {ADMIN} on >{PASSWORDS[ADMIN]} ~* &* +@all",
            f"user {REPL} on >{PASSWORDS[REPL]} resetchannels -@all +psync +replconf +ping",
            f"user default on >{PASSWORDS[APP]} ~* &* +@all",
        ]
        (self.folder / "redis.conf").write_text("\n".join([*lines, *acl, ""]))
        self.spawn("redis-server", f"{self.folder}/redis.conf")
        self._await(self.info)
        return self

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        with redis.Redis(port=self.port, password=PASSWORDS[APP], decode_responses=True, socket_timeout=30) as client:
            yield client

    def info(self, section: str = "replication") -> dict[str, Any]:
        with self.client() as client:
            found: dict[str, Any] = client.info(section)
            return found


@dataclass
class Pair[S: Server]:
    """A store: us is the primary of eu; `wire` is how eu reaches us, `back` how us would reach eu."""

    kind: str
    us: S
    eu: S
    wire: Wire
    back: Wire
    document: dict[str, Any] = field(default_factory=dict)
    """What fleet.yaml says of it under `stores`."""


@contextmanager
def mariadb_pair(folder: Path, semisync: int | None = None, **options: str) -> Iterator[Pair[MariaDb]]:
    """GTID replication, caught up. `semisync` is the time limit (ms) of AFTER_SYNC semi-synchronous replication.

    `options` (with _ for -) go into both configurations.
    """
    with ExitStack() as stack:
        us, eu = (_mariadb(stack, folder, region, number, options) for number, region in enumerate(("us", "eu"), 1))
        wire, back = _wires(stack, us, eu)
        if semisync is not None:
            half = {"rpl-semi-sync-master-timeout": str(semisync), "rpl-semi-sync-master-wait-point": "AFTER_SYNC"}
            us.options |= {"rpl-semi-sync-master-enabled": "1", **half}
            eu.options |= {"rpl-semi-sync-slave-enabled": "1", **half}
        eu.options["read-only"] = "1"
        us.start()
        eu.start()
        replicate(eu, wire)
        wait_until(
            "replication", lambda: eu.status()["Slave_IO_Running"] == eu.status()["Slave_SQL_Running"] == "Yes"
        )
        yield Pair("mariadb", us, eu, wire, back, _document(folder, "mariadb", us, eu, wire, back))


def replicate(replica: MariaDb, wire: Wire, start: bool = True) -> None:
    """Let a server follow the one behind a wire, by GTID."""
    replica.sql(
        f"CHANGE MASTER TO master_host='127.0.0.1', master_port={wire.port}, master_user='{REPL}', "
        f"master_password='{PASSWORDS[REPL]}', master_use_gtid=slave_pos, master_heartbeat_period=0.5, "
        "master_connect_retry=1"
    )
    if start:
        replica.sql("START SLAVE")


@contextmanager
def redis_pair(folder: Path, **options: str) -> Iterator[Pair[Redis]]:
    """A primary and its replica, link up. `options` (with _ for -) go into both configurations."""
    with ExitStack() as stack:
        us, eu = (_redis(stack, folder, region, options) for region in ("us", "eu"))
        wire, back = _wires(stack, us, eu)
        eu.options["replicaof"] = f"127.0.0.1 {wire.port}"
        us.start()
        eu.start()
        wait_until("replication", lambda: eu.info()["master_link_status"] == "up")
        yield Pair("redis", us, eu, wire, back, _document(folder, "redis", us, eu, wire, back))


def fleet_file(folder: Path, clusters: dict[str, Any] | None = None, **stores: Pair[Any]) -> Path:
    """fleet.yaml with regions us and eu, roles primary and standby, and these stores by their names.

    `clusters`: region -> cluster, as fleet.yaml says it, where a test needs API servers.
    """

    def region(name: str) -> dict[str, Any]:
        nowhere = {"kubeconfig": f"/nowhere/{name}.yaml", "context": name, "uid": f"uid-{name}"}
        return {"cluster": (clusters or {}).get(name, nowhere), "place": "here"}

    document = {
        "fleet": "stores",
        "regions": {name: region(name) for name in ("us", "eu")},
        "places": {"here": {}},
        "stores": {name: pair.document for name, pair in stores.items()},
        "services": {
            "shop": {
                "tier": 0,
                "entry": {"url": "http://127.0.0.1:1/", "place": "here"},
                "workloads": {name: {"namespace": "production", "deployment": "shop"} for name in ("us", "eu")},
                "stores": list(stores),
            }
        },
        "roles": {"primary": "us", "standby": "eu", "frontend": "shop"},
    }
    file = folder / "fleet.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def fleet(folder: Path, clusters: dict[str, Any] | None = None, **stores: Pair[Any]) -> Fleet:
    """The fleet of `fleet_file`."""
    return load_fleet(fleet_file(folder, clusters, **stores))


def _document(folder: Path, kind: str, us: Server, eu: Server, wire: Wire, back: Wire) -> dict[str, Any]:
    def login(user: str) -> dict[str, str]:
        file = folder / f"{user}.password"
        file.write_text(PASSWORDS[user] + "\n")
        file.chmod(0o600)
        return {"user": user, "password": f"${{file:{file}}}"}

    ids = "SELECT id FROM shop.orders WHERE id LIKE %s ORDER BY n"
    return {
        "kind": kind,
        "members": {
            "us": {"address": us.address, "place": "here", "serves": wire.address},
            "eu": {"address": eu.address, "place": "here", "serves": back.address},
        },
        "primary": "us",
        "reader": login(READER),
        "admin": login(ADMIN),
        "replication": login(REPL),
        "records": {"orders": {"ids": "order:*"} if kind == "redis" else {"ids": ids, "ordered": True}},
    }


def _wires(stack: ExitStack, *servers: Server) -> list[Wire]:
    wires = [Wire(server.port) for server in servers]
    for wire in wires:
        stack.callback(wire.close)
    return wires


def _mariadb(stack: ExitStack, folder: Path, region: str, number: int, more: dict[str, str]) -> MariaDb:
    home = folder / f"mariadb-{region}"
    home.mkdir(parents=True)
    subprocess.run(["cp", "-a", "--reflink=auto", f"{_initialised()}/data", f"{home}/data"], check=True)
    port = free_port()
    options = _options(home) | {
        "bind-address": "127.0.0.1",
        "port": str(port),
        "server-id": str(number),
        "log-bin": "bin",
        "relay-log": "relay",
        "log-slave-updates": "1",
        "binlog-format": "ROW",
        "gtid-strict-mode": "1",
        "sync-binlog": "1",
        "innodb-flush-log-at-trx-commit": "1",
        "skip-slave-start": "",
        "slave-net-timeout": "5",
    }
    found = MariaDb(region, home, port, options | {key.replace("_", "-"): value for key, value in more.items()})
    stack.callback(found.kill)
    return found


def _redis(stack: ExitStack, folder: Path, region: str, more: dict[str, str]) -> Redis:
    home = folder / f"redis-{region}"
    home.mkdir(parents=True)
    port = free_port()
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(home),
        "appendonly": "yes",
        "save": '""',
        "repl-timeout": "5",
        "repl-ping-replica-period": "1",
        "repl-diskless-sync-delay": "0",
        "masteruser": REPL,
        "masterauth": PASSWORDS[REPL],
    }
    found = Redis(region, home, port, options | {key.replace("_", "-"): value for key, value in more.items()})
    stack.callback(found.kill)
    return found


def _options(home: Path) -> dict[str, str]:
    """Small, whoever runs it."""
    return {
        "datadir": f"{home}/data",
        # A server that starts removes the temporary tables that it finds, another's too.
        "tmpdir": str(home),
        "socket": f"{home}/sock",
        "pid-file": f"{home}/pid",
        "user": "root" if os.getuid() == 0 else "",
        "skip-name-resolve": "",
        "performance-schema": "0",
        "innodb-buffer-pool-size": "16M",
        "innodb-log-file-size": "8M",
        "innodb-use-native-aio": "0",
        "key-buffer-size": "1M",
        "aria-pagecache-buffer-size": "1M",
    }


@functools.cache
def _initialised() -> Path:
    """A data directory with users and tables that no binary log knows of: made once, copied for every server."""
    home = Path(tempfile.mkdtemp(prefix="bs-mariadb-"))
    register(shutil.rmtree, home, True)
    options = {key: value for key, value in _options(home).items() if value or key != "user"}
    first = MariaDb("first", home, 0, {**options, "skip-networking": ""})
    (home / "my.cnf").write_text("\n".join(["[mariadbd]", *(f"{k}={v}" if v else k for k, v in options.items()), ""]))
    command = ["mariadb-install-db", f"--defaults-file={home}/my.cnf", "--auth-root-authentication-method=normal"]
    done = subprocess.run([*command, "--skip-test-db"], capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    first.start()
    grants = {READER: MARIADB_READER, ADMIN: MARIADB_ADMIN, REPL: "REPLICATION SLAVE", APP: "ALL PRIVILEGES"}
    for user, granted in grants.items():
        first.sql(f"CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORDS[user]}'")
        first.sql(f"GRANT {granted} ON *.* TO '{user}'@'%'")
    for statement in filter(str.strip, _SCHEMA.split(";")):
        first.sql(statement)
    first.stop()
    return home
