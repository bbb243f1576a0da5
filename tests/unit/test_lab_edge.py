"""The edge: accepted by Envoy, and what it does with a region that dies or hangs."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from blackstart.lab.edge import edge_config
from blackstart.lab.parts import find_envoy

ENVOY = find_envoy()
needs_envoy = pytest.mark.skipif(ENVOY is None, reason="envoy is not installed")
REGIONS = [("us", "198.18.0.11", 30080), ("eu", "198.18.0.12", 30080)]


def config(*, failover: bool = True, log: Path | None = None) -> dict[str, Any]:
    return edge_config(("127.0.0.1", 1), ("127.0.0.1", 2), REGIONS, failover=failover, health_log=log)


def cluster(document: dict[str, Any]) -> dict[str, Any]:
    [found] = document["static_resources"]["clusters"]
    return found


def route(document: dict[str, Any]) -> dict[str, Any]:
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]


def test_regions_are_priorities_in_their_order() -> None:
    endpoints = cluster(config())["load_assignment"]["endpoints"]
    assert [(e["priority"], e["locality"]["region"]) for e in endpoints] == [(0, "us"), (1, "eu")]


def test_all_tries_fit_into_a_client_timeout_of_one_second() -> None:
    three = edge_config(("127.0.0.1", 1), ("127.0.0.1", 2), [*REGIONS, ("as", "198.18.0.13", 30080)])
    assert route(three)["retry_policy"]["num_retries"] == 2
    assert float(route(three)["timeout"].rstrip("s")) < 1.0


def test_without_failover_there_are_neither_checks_nor_retries() -> None:
    stubborn = config(failover=False)
    assert "health_checks" not in cluster(stubborn)
    assert "retry_policy" not in route(stubborn)


@needs_envoy
@pytest.mark.parametrize("failover", [True, False])
def test_envoy_accepts_it(tmp_path: Path, failover: bool) -> None:
    path = tmp_path / "edge.json"
    path.write_text(json.dumps(config(failover=failover, log=tmp_path / "health.log")))
    done = subprocess.run(
        [str(ENVOY), "--mode", "validate", "-c", str(path)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr[-2000:]


@contextmanager
def upstream(region: str, port: int = 0) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"region": region}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def silent(port: int) -> Iterator[None]:
    """Accepts connections, by its backlog, and says nothing: a frozen region."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        yield


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def edge(folder: Path, upstreams: list[tuple[str, str, int]]) -> Iterator[int]:
    listen, admin, path = free_port(), free_port(), folder / "edge.json"
    path.write_text(json.dumps(edge_config(("127.0.0.1", listen), ("127.0.0.1", admin), upstreams)))
    argv = [str(ENVOY), "-c", str(path), "--disable-hot-restart", "--concurrency", "1", "-l", "error"]
    process = subprocess.Popen(argv)
    try:
        yield listen
    finally:
        process.kill()
        process.wait()


def ask(port: int) -> str:
    """The region that answered, or `HTTP <code>`. Raises OSError for no answer within a second."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read()
        return str(json.loads(body)["region"]) if response.status == 200 else f"HTTP {response.status}"
    finally:
        connection.close()


def wait_for_region(port: int, region: str) -> None:
    deadline = time.monotonic() + 10
    answer = "nothing"
    while answer != region:
        assert time.monotonic() < deadline, f"{answer} instead of {region}"
        with suppress(OSError):
            answer = ask(port)
        time.sleep(0.02)


@needs_envoy
@pytest.mark.parametrize("loss", ["refuses", "hangs"])
def test_the_loss_of_a_region_costs_no_request_and_traffic_comes_back(tmp_path: Path, loss: str) -> None:
    with ExitStack() as stack:
        us = stack.enter_context(ExitStack())
        home = us.enter_context(upstream("us"))
        away = stack.enter_context(upstream("eu"))
        upstreams = [("us", "127.0.0.1", home), ("eu", "127.0.0.1", away)]
        port = stack.enter_context(edge(tmp_path, upstreams))
        wait_for_region(port, "us")
        us.close()
        with silent(home) if loss == "hangs" else ExitStack():
            assert [ask(port) for _ in range(8)] == ["eu"] * 8
        stack.enter_context(upstream("us", home))
        wait_for_region(port, "us")
