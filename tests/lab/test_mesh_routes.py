"""Faults of a VirtualService's routes on a lab with a mesh: they bite, and come back whole after the runner died."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labdrill import kubectl
from machinekit import Machine, fault, kill, running
from meshlab import split, status_at_the_gateway

from blackstart.fleet.model import Fleet
from blackstart.lab.manifests import APP, NAMESPACE

# At the gateway itself: the edge passes one by that answers its health checks with an abort, mostly within 0.5 s.
_ARGUMENTS = {"service": "mesh", "region": "primary"}


@pytest.fixture
def here(mesh: Fleet, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "state", mesh.source or Path())
    yield machine
    machine.run("recover", "--all")


def spec_of(mesh: Fleet, name: str) -> Any:
    argv = ["-n", NAMESPACE, "get", "virtualservices.networking.istio.io", name, "-o", "json"]
    return json.loads(kubectl(mesh.regions["us"], *argv))["spec"]


def test_an_abort_reaches_clients_and_goes_with_recover(mesh: Fleet, here: Machine, tmp_path: Path) -> None:
    before = spec_of(mesh, APP)
    with running(here, mesh, tmp_path, fault("mesh_abort", **_ARGUMENTS, status=418)) as process:
        assert status_at_the_gateway(mesh) == 418
        kill(process)
    _, text = here.run("recover", "--dry-run")
    assert "spec.http" in text
    assert here.run("recover")[0] == 0
    assert spec_of(mesh, APP) == before


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        (APP, fault("mesh_delay", **_ARGUMENTS, delay=0.1)),
        ("split", fault("drain_subset", **_ARGUMENTS, subset="blue", virtual_service="split")),
    ],
    ids=["mesh-delay", "drain-subset"],
)
def test_routes_are_put_back(mesh: Fleet, here: Machine, tmp_path: Path, name: str, broken: dict[str, Any]) -> None:
    with split(mesh):
        before = spec_of(mesh, name)
        with running(here, mesh, tmp_path, broken) as process:
            assert spec_of(mesh, name) != before
            kill(process)
        # From another machine: by the label and the record on the object alone.
        code, text = Machine(tmp_path / "other", here.fleet).run("recover")
        assert code == 0, text
        assert spec_of(mesh, name) == before
        assert here.run("recover")[0] == 0
