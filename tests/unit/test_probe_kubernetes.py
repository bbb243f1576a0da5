"""`kubernetes` probes, against a server that answers like an API server."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from loopback import Server, black_hole, fleet, free_address, http

from blackstart.evidence.records import Reading, Reason
from blackstart.probes import read
from blackstart.probes.base import Scope
from blackstart.probes.kubernetes import Spec, object_path

TOKEN = "t0ken"


def look(spec: Spec, addresses: dict[str, str], folder: Path) -> list[Reading]:
    """One look in the regions at `addresses`; the kubeconfigs' current context leads nowhere."""
    regions = fleet().model_dump()["regions"]
    for name, address in addresses.items():
        config = {
            "current-context": "wrong",
            "clusters": [
                {"name": "c", "cluster": {"server": f"http://{address}"}},
                {"name": "wrong", "cluster": {"server": f"http://{free_address()}"}},
            ],
            "users": [{"name": "u", "user": {"token": TOKEN}}],
            "contexts": [
                {"name": name, "context": {"cluster": "c", "user": "u"}},
                {"name": "wrong", "context": {"cluster": "wrong", "user": "u"}},
            ],
        }
        (folder / name).write_text(json.dumps(config))
        regions[name]["cluster"]["kubeconfig"] = str(folder / name)
    return asyncio.run(read(spec, Scope(fleet(regions=regions))))


def spec(**keys: Any) -> Spec:
    return Spec(probe="p", **{"service": "frontend", "field": "status.readyReplicas", "deadline": 5.0, **keys})


def one(answer: bytes | None, folder: Path, **keys: Any) -> Reading:
    with Server(lambda _: answer) as server:
        (found,) = look(spec(regions=["primary"], **keys), {"us": server.address}, folder)
    return found


def test_a_field_in_the_named_context(tmp_path: Path) -> None:
    with Server(lambda _: http({"status": {"readyReplicas": 3}})) as server:
        (found,) = look(spec(regions=["primary"]), {"us": server.address}, tmp_path)
        assert (found.key, found.value, found.no_data) == ("us", 3, None)
        assert server.heads[0].startswith("GET /apis/apps/v1/namespaces/prod/deployments/shop ")
        assert f"Bearer {TOKEN}" in server.heads[0]


def test_a_counter_that_kubernetes_omits(tmp_path: Path) -> None:
    assert one(http({"status": {}}), tmp_path, absent=0).value == 0
    assert one(http({"status": {}}), tmp_path).no_data is Reason.EMPTY


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http({}, "404 Not Found"), Reason.EMPTY),
        (http({}, "401 Unauthorized"), Reason.UNAUTHORISED),
        (http({}, "403 Forbidden"), Reason.UNAUTHORISED),
        (http({}, "500 Internal Server Error"), Reason.REFUSED),
        (http(b"<html>"), Reason.MALFORMED),
        (http(b" " * (9 << 20)), Reason.MALFORMED),
        (b"", Reason.REFUSED),
        (None, Reason.TIMEOUT),
    ],
)
def test_no_data_has_a_reason(answer: bytes | None, reason: Reason, tmp_path: Path) -> None:
    found = one(answer, tmp_path, deadline=0.5 if reason is Reason.TIMEOUT else 5.0)
    assert (found.value, found.no_data) == (None, reason), found.detail
    assert TOKEN not in found.model_dump_json()


def test_nothing_is_asked_again(tmp_path: Path) -> None:
    with Server(lambda _: b"", close=True) as server:
        look(spec(regions=["primary"]), {"us": server.address}, tmp_path)
        assert len(server.heads) == 1


def test_each_region_has_its_own_deadline(tmp_path: Path) -> None:
    with Server(lambda _: http({"status": {"readyReplicas": 2}})) as server, black_hole() as hole:
        started = time.monotonic()
        found = look(spec(deadline=1.0), {"us": hole, "eu": server.address}, tmp_path)
        assert time.monotonic() - started < 4
    assert {r.key: (r.value, r.no_data) for r in found} == {"us": (None, Reason.TIMEOUT), "eu": (2, None)}


def test_nobody_there_and_no_kubeconfig(tmp_path: Path) -> None:
    (found,) = look(spec(regions=["primary"]), {"us": free_address()}, tmp_path)
    assert found.no_data is Reason.REFUSED
    (found,) = look(spec(regions=["standby"]), {}, tmp_path)
    assert found.no_data is Reason.MALFORMED
    assert "/nowhere/eu.yaml" in found.detail


def test_the_paths_of_objects() -> None:
    assert object_path("v1/pods", "prod", "a") == "/api/v1/namespaces/prod/pods/a"
    assert object_path("v1/nodes", None, "n") == "/api/v1/nodes/n"
    assert object_path("velero.io/v1/backups", "velero", "b") == "/apis/velero.io/v1/namespaces/velero/backups/b"


@pytest.mark.parametrize(
    "keys", [{"service": None}, {"service": None, "resource": "v1/pods"}, {"resource": "v1/pods", "name": "a"}]
)
def test_specs_that_contradict_themselves(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs|go together"):
        spec(**keys)
