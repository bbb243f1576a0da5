"""The stores of one region as they run: installed, started, asked, killed by themselves."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blackstart.fleet.model import Place
from blackstart.fleet.places import inside
from blackstart.lab import data, logins
from blackstart.lab.data import ADMIN, APP, KINDS, NOBODY, PORT_OF, SOCKET, STORE_OF, Kind, Seen, Site
from blackstart.lab.manifests import Object, order_service
from blackstart.lab.parts import Parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.processes import Processes
from blackstart.lab.shell import LabError, run, wait_for
from blackstart.lab.toolchain import cache_dir
from blackstart.lab.topology import RegionNet

_ASK = 5.0
"""Seconds that a server has to answer; one in a frozen region never does."""


@dataclass(frozen=True)
class RegionData:
    """MariaDB and Redis of a region."""

    net: RegionNet
    paths: LabPaths
    processes: Processes
    site: Site

    def folder(self, kind: Kind) -> Path:
        """The data of a store."""
        return self.paths.member(self.net.name) / kind

    def config(self, kind: Kind) -> Path:
        return self.paths.member(self.net.name) / {"mariadb": "mariadb.cnf", "redis": "redis/redis.conf"}[kind]

    def order_service(self) -> list[Object]:
        """The service that uses them, led to the primaries of a new lab: its own where each region has some."""
        own = self.site.primary or self.site.multi_active
        primary = self.site.address if own else self.site.peer
        addresses = {STORE_OF[kind]: f"{primary}:{PORT_OF[kind]}" for kind in KINDS}
        passwords = {STORE_OF[kind]: logins.read(self.paths, kind)[APP] for kind in KINDS}
        return order_service(self.net.name, f"{self.site.address}:{PORT_OF['mariadb']}", addresses, passwords)

    def install(self, empty: Path) -> None:
        """Configuration and data; `empty` is an `empty_database`. Raises LabError."""
        passwords = logins.read(self.paths, "redis")
        folder = self.folder("redis")
        folder.mkdir(parents=True, mode=0o700)
        _write(self.config("redis"), data.redis_config(self.site, folder, passwords))
        _write(folder / "users.acl", data.redis_users(passwords))
        _write(self.config("mariadb"), data.mariadb_config(self.site, self.folder("mariadb")))
        data.temporary(self.folder("mariadb")).mkdir()
        run(["cp", "-a", "--sparse=always", str(empty), str(self.folder("mariadb"))])

    def start(self, parts: Parts) -> None:
        """Start what does not run; neither takes writes."""
        for kind in KINDS:
            self._start(kind, parts)

    def wait(self, timeout: float) -> None:
        """Until both answer. Raises LabError."""
        for kind in KINDS:
            self._wait(kind, timeout)

    def alive(self, part: str) -> bool:
        """Whether the server's process is there."""
        process = self.processes.all().get(_kind(part))
        return process is not None and process.alive()

    def keep_roles(self) -> None:
        """Let a Redis that runs write its role to its configuration, for after a kill; MariaDB does so by itself."""
        if self.alive("redis"):
            with suppress(LabError):  # It hangs, or loads: its role is what it was.
                if not self._fenced(self.redis("ROLE", timeout=1.0)):
                    self.redis("CONFIG REWRITE", timeout=1.0)

    def kill_part(self, part: str) -> None:
        """End one server; the rest of the region goes on without it. Raises LabError."""
        if part == "redis":
            self.keep_roles()
        self.processes.kill(_kind(part))

    def restore_part(self, part: str, parts: Parts, timeout: float) -> None:
        """Start one server with its data, wait until it answers; it takes no writes. Raises LabError."""
        self._start(_kind(part), parts)
        self._wait(_kind(part), timeout)

    def sql(self, text: str, timeout: float = _ASK) -> str:
        """What MariaDB yields to its root: a line per row, tabs between columns. Raises LabError."""
        return self._mariadb_client(["--skip-column-names"], text, timeout)

    def source_status(self) -> dict[str, str]:
        """SHOW SLAVE STATUS; empty for a server that replicates from nobody. Raises LabError."""
        lines = self._mariadb_client(["--vertical"], "SHOW SLAVE STATUS", _ASK).splitlines()
        return {name.strip(): value for name, _, value in (line.partition(": ") for line in lines)}

    def redis(self, *commands: str, timeout: float = _ASK) -> list[str]:
        """The lines that Redis answers to its administrator. Raises LabError."""
        password = logins.read(self.paths, "redis")[ADMIN]
        text = "\n".join([f"AUTH {ADMIN} {password}", *commands, ""])
        argv = ["redis-cli", "-h", "127.0.0.1", "-p", str(PORT_OF["redis"])]
        answer = self._inside(lambda: run(argv, stdin=text, timeout=timeout)).splitlines()
        if answer[:1] != ["OK"]:
            raise LabError(f"region {self.net.name}: redis: {' '.join(answer) or 'no answer'}")
        return [line for line in answer[1:] if line]

    def seen(self, kind: Kind) -> Seen:
        """What the server is; by its files alone when it does not answer."""
        try:
            writable, source = self._mariadb() if kind == "mariadb" else self._redis()
        except LabError:
            return Seen(self.net.name, False, False, self._lasting_source(kind))
        return Seen(self.net.name, True, writable, source)

    def lead(self, kind: Kind) -> None:
        """Take writes. Raises LabError."""
        if kind == "mariadb":
            self.sql(data.lead(self.site))
        else:
            self.redis("REPLICAOF NO ONE")

    def follow(self, kind: Kind) -> None:
        """Replicate from the other region, by the settings that are there. Raises LabError."""
        if kind == "mariadb":
            self.sql("START SLAVE;")
        else:
            self.redis(f"REPLICAOF {self.site.peer} {PORT_OF['redis']}")

    def follows(self, kind: Kind) -> bool:
        """Whether it replicates right now. Raises LabError."""
        if kind == "redis":
            return "master_link_status:up" in self.redis("INFO replication")
        status = self.source_status()
        return [status.get(f"Slave_{thread}_Running") for thread in ("IO", "SQL")] == ["Yes", "Yes"]

    def _mariadb(self) -> tuple[bool, str | None]:
        read_only = self.sql("SELECT @@global.read_only").strip()
        return read_only == "0", self.source_status().get("Master_Host")

    def _mariadb_client(self, options: list[str], text: str, timeout: float) -> str:
        argv = ["mariadb", "--no-defaults", f"--socket={SOCKET}", "--user=root", "--batch", *options]
        return self._inside(lambda: run(argv, stdin=text, timeout=timeout))

    def _redis(self) -> tuple[bool, str | None]:
        role = self.redis("ROLE")
        if role[0] == "master":
            return True, None
        return False, self._lasting_source("redis") if self._fenced(role) else role[1]

    @staticmethod
    def _fenced(role: list[str]) -> bool:
        return role[:3] == ["slave", *map(str, NOBODY)]

    def _lasting_source(self, kind: Kind) -> str | None:
        file = self.folder("mariadb") / "master.info" if kind == "mariadb" else self.config("redis")
        return data.lasting_source(kind, file.read_text()) if file.exists() else None

    def _start(self, kind: Kind, parts: Parts) -> None:
        if not self.alive(kind):
            program = data.mariadb if kind == "mariadb" else data.redis
            self.processes.start(program(parts, self.config(kind)))

    def _wait(self, kind: Kind, timeout: float) -> None:
        def answers() -> bool | None:
            if not self.alive(kind):
                raise LabError(f"region {self.net.name}: {kind} ended; its log:\n{self.processes.log_tail(kind)}")
            # Redis answers an error while it loads its data.
            return True if self.seen(kind).answers else None

        wait_for(
            f"region {self.net.name}: {kind} answers", answers, timeout, hint=f"see {self.processes.logs}/{kind}.log"
        )

    def _inside(self, ask: Callable[[], str]) -> str:
        with inside(Place(netns=self.net.netns)):
            return ask()


def _kind(part: str) -> Kind:
    """Raises LabError for a part that is no store."""
    found = next((kind for kind in KINDS if kind == part), None)
    if found is None:
        raise LabError(f"{part!r} is no store; known: {', '.join(KINDS)}")
    return found


def empty_database(parts: Parts) -> Path:
    """A data directory as `mariadb-install-db` makes it, made once for each version. Raises LabError.

    One caller at a time.
    """
    version = run([str(parts.stores["mariadbd"]), "--version"])
    target = cache_dir() / f"mariadb-{hashlib.sha256(version.encode()).hexdigest()[:12]}"
    if target.exists():
        return target
    cache_dir().mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=cache_dir(), prefix=".mariadb-"))
    try:
        config = scratch / "my.cnf"
        config.write_text(f"[mariadbd]\nuser = root\ndatadir = {scratch / 'data'}\ninnodb-log-file-size = 16M\n")
        run(
            [
                *(str(parts.stores["mariadb-install-db"]), f"--defaults-file={config}", "--skip-test-db"),
                # Root of the machine, by the socket; nobody else, and no password.
                *("--auth-root-authentication-method=socket", "--auth-root-socket-user=root"),
            ],
            timeout=90,
        )
        os.rename(scratch / "data", target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _write(path: Path, text: str) -> None:
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
