"""What gateways and istiods say on a lab with a mesh, in health and while it lies; and lint of the mesh that runs."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from labdrill import kubectl, pid_of, settle, stopped
from machinekit import Machine, fault, kill, running
from meshlab import status_at_the_gateway, until, values

from blackstart.cli import invoke
from blackstart.evidence.records import Reason
from blackstart.fleet.model import Fleet
from blackstart.probes.base import Scope


@pytest.fixture
def scope(mesh: Fleet) -> Scope:
    """One for all looks of a test: probes remember their last one."""
    return Scope(mesh)


@pytest.fixture
def here(mesh: Fleet, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "state", mesh.source or Path())
    yield machine
    machine.run("recover", "--all")
    settle(mesh)


def test_in_health(mesh: Fleet, scope: Scope) -> None:
    settle(mesh)
    until(lambda: values(scope, "mesh-healthy-hosts") == {"us": 3, "eu": 3})
    assert values(scope, "mesh-priority") == {"us": 1}
    until(lambda: values(scope, "mesh-remote-endpoints") == {"us": 3})
    assert values(scope, "mesh-overflow") == {"us": 0, "eu": 0}
    until(lambda: values(scope, "mesh-ejections") == {"us": 0, "eu": 0})


def test_nobody_is_served_from_afar(scope: Scope) -> None:
    # The edge's own health checks are traffic enough to tell.
    until(lambda: values(scope, "mesh-locality-share") == {"us": 0})


def test_a_silent_loss_is_seen_by_the_gateway_alone(mesh: Fleet, scope: Scope, here: Machine, tmp_path: Path) -> None:
    method = fault("blackhole_endpoints", service="frontend", region="primary")
    with running(here, mesh, tmp_path, method) as process:

        def ejected() -> bool:
            for _ in range(20):
                with contextlib.suppress(OSError, http.client.HTTPException):
                    status_at_the_gateway(mesh)
            return values(scope, "mesh-ejections")["us"] == 3

        until(ejected)
        assert values(scope, "mesh-remote-endpoints") == {"us": 3}
        kill(process)


def test_a_remote_cluster_that_changed_unseen_is_stale(
    mesh: Fleet, scope: Scope, here: Machine, tmp_path: Path
) -> None:
    """istiod goes on saying "synced" of a cluster that it has lost."""
    method = fault("block_remote_api", region="primary", remote="standby")
    size = ["-n", "production", "scale", "deployment/user-service"]
    try:
        with running(here, mesh, tmp_path, method) as process:
            kubectl(mesh.regions["eu"], *size, "--replicas=1")
            settle(mesh)
            until(lambda: values(scope, "mesh-remote-endpoints") == {"us": Reason.STALE})
            kill(process)
        assert here.run("recover")[0] == 0
        until(lambda: values(scope, "mesh-remote-endpoints") == {"us": 1})
    finally:
        kubectl(mesh.regions["eu"], *size, "--replicas=3")


def test_a_gateway_that_hangs_has_no_data(mesh: Fleet, scope: Scope) -> None:
    root = (mesh.source or Path()).parent
    until(lambda: values(scope, "mesh-healthy-hosts") == {"us": 3, "eu": 3})
    with stopped(pid_of(root, "us", "gateway")):
        assert values(scope, "mesh-healthy-hosts") == {"us": Reason.TIMEOUT, "eu": 3}


def test_lint_has_nothing_to_say_of_the_rules_that_work(mesh: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["lint", "--mesh", "--fleet", str(mesh.source)]) == 0
    assert ": warning: " not in capsys.readouterr().out
