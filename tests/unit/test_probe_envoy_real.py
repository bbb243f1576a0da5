"""`envoy` probes against the administration of a real Envoy, which nobody configures but this test."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loopback import Server, free_address, http
from meshanswers import CLUSTER, mesh_fleet

from blackstart.evidence.records import Reading, Reason
from blackstart.lab.parts import find_envoy
from blackstart.probes import read
from blackstart.probes.base import Scope
from blackstart.probes.envoy import Spec
from blackstart.probes.envoyhosts import connect_failures

pytestmark = pytest.mark.skipif(find_envoy() is None, reason="Envoy is not installed")

_HTTP = "type.googleapis.com/envoy.extensions.filters"


@dataclass(frozen=True)
class Gateway:
    """A running Envoy before two servers, in region us (priority 0) and in eu (priority 1)."""

    process: subprocess.Popen[bytes]
    address: str
    servers: dict[str, Server]
    scope: Scope

    def ask(self, times: int) -> None:
        for _ in range(times):
            with suppress(OSError):
                urllib.request.urlopen(f"http://{self.address}/", timeout=5).read()

    def look(self, **keys: Any) -> Reading:
        spec = Spec(probe="p", **{"service": "frontend", "regions": ["primary"], "deadline": 5.0, **keys})
        return asyncio.run(read(spec, self.scope))[0]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with ExitStack() as stack:
        servers = {region: stack.enter_context(Server(lambda _: http({}))) for region in ("us", "eu")}
        admin, address = free_address(), free_address()
        (tmp_path / "envoy.json").write_text(json.dumps(bootstrap(admin, address, servers)))
        argv = [str(find_envoy()), "-c", str(tmp_path / "envoy.json"), "--disable-hot-restart", "--concurrency", "1"]
        process = stack.enter_context(subprocess.Popen([*argv, "--log-level", "off"]))
        stack.callback(process.kill)
        wait(f"http://{admin}/ready")
        yield Gateway(process, address, servers, Scope(mesh_fleet({"us": f"http://{admin}"})))


def wait(url: str) -> None:
    for _ in range(300):
        with suppress(OSError):
            urllib.request.urlopen(url, timeout=1).read()
            return
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def socket_address(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def bootstrap(admin: str, address: str, servers: dict[str, Server]) -> dict[str, Any]:
    endpoints = [
        {
            "priority": priority,
            "locality": {"region": region, "zone": f"{region}-a"},
            "lb_endpoints": [{"endpoint": {"address": socket_address(server.address)}}],
        }
        for priority, (region, server) in enumerate(servers.items())
    ]
    cluster = {
        "name": CLUSTER,
        "alt_stat_name": f"{CLUSTER};",
        "load_assignment": {"cluster_name": CLUSTER, "endpoints": endpoints},
        "outlier_detection": {"consecutive_5xx": 1, "max_ejection_percent": 100, "base_ejection_time": "60s"},
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    }
    route = {"match": {"prefix": "/"}, "route": {"cluster": CLUSTER}}
    router = {"@type": f"{_HTTP}.http.router.v3.Router"}
    manager = {
        "@type": f"{_HTTP}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": router}],
    }
    listener = {
        "address": socket_address(address),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {
        "node": {"id": "a", "cluster": "b", "locality": {"region": "us", "zone": "us-a"}},
        "admin": {"address": socket_address(admin)},
        "static_resources": {"clusters": [cluster], "listeners": [listener]},
    }


def test_what_a_real_one_says(gateway: Gateway) -> None:
    assert gateway.look(measure="share", of="primary").no_data is Reason.EMPTY
    gateway.ask(4)
    assert gateway.look(measure="share", of="primary").value == 1
    # All of the region's hosts are ejected by the first failure, the rest goes to the other.
    gateway.servers["us"].shut()
    gateway.ask(5)
    found = gateway.look(measure="share", of="standby")
    assert found.value == pytest.approx(4 / 5), found.detail
    assert gateway.look(measure="ejected").value == 1
    # No istiod has ever configured this one: of its hosts nothing may be believed.
    assert gateway.look(measure="healthy").no_data is Reason.STALE


def test_it_tells_which_host_it_could_not_connect_to(gateway: Gateway) -> None:
    def failed() -> dict[str, int]:
        mesh = gateway.scope.fleet.regions["us"].mesh
        assert mesh is not None
        return {host.locality: host.failed for host in connect_failures(mesh.gateway, 5.0)}

    gateway.ask(3)
    assert failed() == {"us": 0, "eu": 0}
    gateway.servers["us"].shut()
    gateway.servers["eu"].shut()
    # A failure ejects the only host of the region, then that of the other one.
    gateway.ask(20)
    assert min(failed().values()) >= 1


def test_a_frozen_one_is_no_data(gateway: Gateway) -> None:
    gateway.process.send_signal(signal.SIGSTOP)
    assert gateway.look(measure="ejected", deadline=0.5).no_data is Reason.TIMEOUT
    gateway.process.send_signal(signal.SIGCONT)
    assert gateway.look(measure="ejected").value == 0
