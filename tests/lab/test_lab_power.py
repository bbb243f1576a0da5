"""Regions die silently, freeze, and come back with their data."""

from __future__ import annotations

import http.client
import json
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from labdrill import end, settle

from blackstart.fleet.model import Entry, Fleet, Place
from blackstart.fleet.places import open_socket
from blackstart.lab import native
from blackstart.lab.api import Request, ask, container_ids
from blackstart.lab.paths import LabPaths

_GET = b"GET / HTTP/1.1\r\nHost: user-service\r\n\r\n"


@pytest.fixture(autouse=True)
def restored(paths: LabPaths) -> Iterator[None]:
    yield
    for region in ("us", "eu"):
        native.restore(region, paths, 110.0)


def _address(entry: Entry) -> tuple[str, int]:
    url = urlsplit(entry.url)
    return str(url.hostname), int(url.port or 80)


def _connect(fleet: Fleet, entry: Entry) -> socket.socket:
    sock = open_socket(fleet.places[entry.place])
    sock.settimeout(2.0)
    try:
        sock.connect(_address(entry))
    except OSError:
        sock.close()
        raise
    return sock


def _region(fleet: Fleet, entry: Entry) -> str:
    _, body = ask(fleet.places[entry.place], _address(entry), Request("GET", "/"), 2.0)
    return str(json.loads(body)["region"])


def _ids(paths: LabPaths, region: str) -> frozenset[str]:
    return container_ids(native.load(paths).region(region).api.items("/api/v1/pods") or [])


def _wait_for_region(fleet: Fleet, entry: Entry, region: str, timeout: float) -> None:
    end = time.monotonic() + timeout
    while not _serves(fleet, entry, region):
        assert time.monotonic() < end, f"{entry.url} is not served by {region}"
        time.sleep(0.1)


def _serves(fleet: Fleet, entry: Entry, region: str) -> bool:
    try:
        return _region(fleet, entry) == region
    except (OSError, http.client.HTTPException, ValueError):
        return False


def test_a_killed_region_is_silent_and_comes_back_with_its_data(lab: Fleet, paths: LabPaths) -> None:
    service = lab.services["user-service"]
    settle(lab)
    _wait_for_region(lab, service.direct["us"], "us", 10.0)
    us = native.load(paths).region("us")
    canary = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "canary", "namespace": "default"}}
    us.api.apply({**canary, "data": {"at": str(time.time())}})
    before = _ids(paths, "us")
    with _connect(lab, service.direct["us"]) as established:
        established.sendall(_GET)
        assert established.recv(4096).startswith(b"HTTP/1.1 200")
        native.kill("us", paths)
        established.sendall(_GET)
        with pytest.raises(TimeoutError):
            established.recv(4096)

    assert native.power_state("us", paths) == "dead"
    assert not us.group.pids()
    with pytest.raises(TimeoutError):
        _connect(lab, service.direct["us"])
    with pytest.raises(TimeoutError):
        ask(Place(), (us.net.address, 6443), Request("GET", "/"), 1.0)
    assert _region(lab, service.entry) == "eu"
    native.kill("us", paths)

    native.restore("us", paths, 110.0)
    assert native.power_state("us", paths) == "up"
    assert len(_ids(paths, "us")) == 3
    assert not _ids(paths, "us") & before
    assert us.api.get("/api/v1/namespaces/default/configmaps/canary") is not None
    _wait_for_region(lab, service.entry, "us", 10.0)


def test_steps_of_a_kill_are_on_the_monotonic_clock(lab: Fleet, paths: LabPaths) -> None:
    begun = time.monotonic()
    native.kill("eu", paths)
    ended = time.monotonic()
    events = [json.loads(line) for line in paths.events.read_text().splitlines()][-5:]
    assert {(e["event"], e["region"]) for e in events} == {("kill", "eu")}
    at = {e["step"]: e["t"] for e in events}
    order = ["silencing", "last-answer", "first-silence", "silenced", "killed"]
    assert sorted(at, key=lambda step: at[step]) == order
    assert [begun, *sorted(at.values()), ended] == sorted([begun, *at.values(), ended])
    assert at["first-silence"] - at["last-answer"] < 0.02


def test_a_frozen_region_hangs_and_goes_on_with_the_same_containers(lab: Fleet, paths: LabPaths) -> None:
    service = lab.services["user-service"]
    before = _ids(paths, "us")
    native.freeze("us", paths)
    assert native.power_state("us", paths) == "frozen"
    with pytest.raises(TimeoutError):
        ask(lab.places["observer"], _address(service.direct["us"]), Request("GET", "/"), 1.0)
    native.restore("us", paths, 110.0)
    assert native.power_state("us", paths) == "up"
    assert _ids(paths, "us") == before


def test_a_frozen_region_can_die(lab: Fleet, paths: LabPaths) -> None:
    before = _ids(paths, "us")
    native.freeze("us", paths)
    native.kill("us", paths)
    assert native.power_state("us", paths) == "dead"
    native.restore("us", paths, 110.0)
    assert not _ids(paths, "us") & before


def test_a_region_that_lost_a_part_is_restored(lab: Fleet, paths: LabPaths) -> None:
    us = native.load(paths).region("us")
    end(us.processes.all()["etcd"].pid)
    assert native.power_state("us", paths) == "dead"
    native.restore("us", paths, 110.0)
    assert native.power_state("us", paths) == "up"


def test_every_control_path_answers(lab: Fleet) -> None:
    for link in lab.links.values():
        for path in link.paths:
            host, port = path.address.rsplit(":", 1)
            status, _ = ask(lab.places[path.place], (host, int(port)), Request("GET", path.get), 2.0)
            assert status == 200, path


def test_pods_reach_their_api_server_by_its_service_address(lab: Fleet, paths: LabPaths) -> None:
    for region in native.load(paths).regions:
        pids = sorted(region.group.pids() - {p.pid for p in region.processes.all().values()})
        place = next(Place(netns=Path(f"/proc/{p}/ns/net")) for p in pids if _in_a_pod(p))
        with open_socket(place) as sock:
            sock.settimeout(2.0)
            sock.connect((region.net.api_service, 443))


def _in_a_pod(pid: int) -> bool:
    return "kubepods" in Path(f"/proc/{pid}/cgroup").read_text()


def test_kubeconfigs_are_private(lab: Fleet) -> None:
    for region in lab.regions.values():
        assert stat.S_IMODE(region.cluster.kubeconfig.stat().st_mode) == 0o600
