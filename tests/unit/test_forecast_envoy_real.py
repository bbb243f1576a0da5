"""The balancer's settings as a real Envoy dumps them, which nobody asks but this test."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from loopback import free_address
from test_probe_envoy_real import wait

from blackstart.fleet.model import Endpoint
from blackstart.lab.edge import edge_config
from blackstart.lab.parts import find_envoy
from blackstart.plan.forecast.envoyfacts import balancer
from blackstart.plan.forecast.settings import Balancer, Checks, Retries
from blackstart.probes.admin import ask

pytestmark = pytest.mark.skipif(find_envoy() is None, reason="Envoy is not installed")

UPSTREAMS = [("us", "127.0.0.1", 1), ("eu", "127.0.0.1", 2)]


@pytest.mark.parametrize("failover", [True, False])
def test_the_edge_of_the_lab(tmp_path: Path, failover: bool) -> None:
    admin, listen = free_address(), free_address()
    ports = [("127.0.0.1", int(address.rpartition(":")[2])) for address in (listen, admin)]
    file = tmp_path / "edge.json"
    file.write_text(json.dumps(edge_config(*ports, UPSTREAMS, failover=failover)))
    argv = [str(find_envoy()), "-c", str(file), "--disable-hot-restart", "--concurrency", "1", "--log-level", "off"]
    with subprocess.Popen(argv) as process:
        try:
            wait(f"http://{admin}/ready")
            [page] = ask(Endpoint(url=f"http://{admin}", place="here"), ["/config_dump"], 3.0)
        finally:
            process.kill()
    found = balancer(page.document())
    assert not isinstance(found, str)
    tries = Retries(1, per_try=0.3, leaves=1, at_once=1000)
    checks = Checks(interval=0.5, timeout=0.5, unhealthy=2, healthy=2)
    wanted = (
        Balancer(checks, tries, 0.65, ("us", "eu")) if failover else Balancer(None, Retries(), 0.35, ("us", "eu"))
    )
    assert found[0] == wanted
