"""Parts that lie: an entry that says yes and writes nothing, addresses that lead to another server, old data."""

from __future__ import annotations

import http.server
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from datalab import eventually, server

from blackstart.fleet.model import Fleet
from blackstart.lab import logins
from blackstart.lab.api import Request, ask
from blackstart.lab.data import READER
from blackstart.lab.dataregion import empty_database
from blackstart.lab.features import Features
from blackstart.lab.parts import find_parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import run


class Relay:
    """A TCP forwarder on 127.0.0.1: `to` (host, port) may be changed; new connections go there, old ones end."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._to = (host, int(port))
        self._pairs: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._to = (host, int(port))
        for sock in self._pairs:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.lead_to("127.0.0.1:1")

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._to, 5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        self._pairs += [near, far]
        back = threading.Thread(target=_pump, args=(far, near), daemon=True)
        back.start()
        _pump(near, far)
        back.join()
        for sock in (near, far):
            self._pairs.remove(sock)
            sock.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    for sock in (source, sink):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(address: str) -> Iterator[Relay]:
    found = Relay(address)
    try:
        yield found
    finally:
        found.close()


class Entry:
    """Takes writes in place of the service. `manner`: pass them on, nod (acknowledge, write nothing), or refuse."""

    def __init__(self, data: Fleet) -> None:
        writes = data.services["order-service"].writes
        assert writes is not None
        self._there, url = data.places[writes.place], urlsplit(writes.url or "")
        self._address = (str(url.hostname), int(url.port or 80))
        self.manner = "pass"
        self.nodded: list[str] = []
        entry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, answer = entry.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}{url.path}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path: str, body: str) -> tuple[int, bytes]:
        if self.manner == "refuse":
            return 503, b'{"committed": false}'
        if self.manner == "nod":
            self.nodded.append(json.loads(body)["id"])
            return 201, b'{"committed": true}'
        try:
            return ask(self._there, self._address, Request("POST", path, body, "application/json"), 4.0)
        except OSError:
            return 504, b"{}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def entry(data: Fleet, manner: str = "pass") -> Iterator[Entry]:
    found = Entry(data)
    found.manner = manner
    try:
        yield found
    finally:
        found.close()


def into(found: Entry, fleet: dict[str, Any]) -> None:
    """Let writers of a fleet document come in by it."""
    fleet["services"]["order-service"]["writes"] |= {"url": found.url, "place": "operator"}


@contextmanager
def old_database(paths: LabPaths, region: str, folder: Path) -> Iterator[str]:
    """The address of a server of its own with the orders that a region has now, and never any later one."""
    parts, port, data = find_parts(Features(data=True)), _free_port(), folder / "old"
    folder.mkdir()
    run(["cp", "-a", "--sparse=always", str(empty_database(parts)), str(data)])
    orders = server(paths, region).sql("SELECT request_id FROM shop.orders ORDER BY n", 30.0).split()
    events = server(paths, region).sql("SELECT id FROM shop.events ORDER BY position", 30.0).split()
    socket_file = f"@old-{port}"
    options = ["--no-defaults", "--user=root", f"--datadir={data}", f"--socket={socket_file}", f"--port={port}"]
    options += ["--bind-address=127.0.0.1", "--server-id=77", "--log-bin=bin", "--innodb-buffer-pool-size=32M"]
    with (folder / "mariadbd.log").open("wb") as log:
        process = subprocess.Popen([str(parts.stores["mariadbd"]), *options], stdout=log, stderr=log)
    try:
        client = ["mariadb", "--no-defaults", f"--socket={socket_file}", "--user=root"]
        eventually("the old server answers", lambda: _succeeds([*client, "-e", "SELECT 1"]), 60.0)
        password = logins.read(paths, "mariadb")[READER]
        run(client, stdin=_old_schema(password, orders, events), timeout=60)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(20)


def _old_schema(password: str, orders: list[str], events: list[str]) -> str:
    def values(ids: list[str]) -> str:
        return ",".join(f"('{each}')" for each in ids)

    return "\n".join(
        [
            f"CREATE USER {READER}@'%' IDENTIFIED BY '{password}';",
            f"GRANT SELECT, REPLICA MONITOR, BINLOG MONITOR ON *.* TO {READER}@'%';",
            "CREATE DATABASE shop; USE shop;",
            "CREATE TABLE orders (n BIGINT AUTO_INCREMENT PRIMARY KEY, request_id VARCHAR(128));",
            "CREATE TABLE events (position BIGINT AUTO_INCREMENT PRIMARY KEY, id VARCHAR(128));",
            f"INSERT INTO orders (request_id) VALUES {values(orders)};",  # noqa: S608 - ids of our own
            f"INSERT INTO events (id) VALUES {values(events)};",  # noqa: S608 - ids of our own
        ]
    )


@contextmanager
def dead_cache(paths: LabPaths, region: str, folder: Path) -> Iterator[str]:
    """The address of another server that has what the cache of a region had when it died, and takes writes."""
    own, port, data = server(paths, region).folder("redis"), _free_port(), folder / "dead"
    shutil.copytree(own, data)
    kept = (own / "redis.conf").read_text().replace(str(own), str(data)).splitlines()
    lines = [line for line in kept if line.split(" ")[0] not in ("bind", "port", "replicaof")]
    (data / "redis.conf").write_text("\n".join([*lines, "bind 127.0.0.1", f"port {port}", ""]))
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen(["redis-server", str(data / "redis.conf")], stdout=log, stderr=log)
    try:
        eventually("the copy answers", lambda: _succeeds(["redis-cli", "-p", str(port), "PING"]), 60.0)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(20)


def _succeeds(argv: list[str]) -> bool:
    return subprocess.run(argv, capture_output=True, timeout=10).returncode == 0


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
