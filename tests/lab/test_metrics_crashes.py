"""Faults of observers bite, in the lab, and are put back whatever dies. The other faults: test_crash_matrix.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datalab import eventually
from labcrash import OBSERVER_FAULTS, Case, crash
from labdrill import settle
from machinekit import Machine, fault, kill, running
from metricslab import BY_REGION, federation, scraped, settled, stores, thanos

from blackstart.fleet.model import Fleet
from blackstart.lab.paths import LabPaths

POWERED = ("kill-observer", "freeze-observer")

IN_EVERY_RUN = [
    # The watchdog, the supervisor, the kernel.
    Case("kill-observer", "both", "child", "held"),
    Case("freeze-observer", "kill", "child", "apply.after"),
    Case("block-store-api", "machine", "child", "held"),
]
ONLY_IN_FULL = [
    case
    for case in [
        *(
            Case(f, how, "child", p)
            for f in POWERED
            for how in ("kill", "both", "stop")
            for p in ("apply.after", "held")
        ),
        *(
            Case("block-store-api", how, "child", p)
            for how in ("kill", "both", "machine", "stop")
            for p in ("apply.after", "held")
        ),
        *(Case(f, "kill", "supervisor", "child.told") for f in OBSERVER_FAULTS),
    ]
    if case not in IN_EVERY_RUN
]


@pytest.fixture(autouse=True)
def whole_again(metrics: Fleet) -> Iterator[None]:
    yield
    eventually("both views are whole", lambda: settled(metrics), 60.0)


@pytest.fixture
def here(metrics: Fleet, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "state", metrics.source or Path())
    yield machine
    machine.run("recover", "--all")


def _marked(case: Case) -> Any:
    return pytest.param(case, id=str(case), marks=pytest.mark.full if case in ONLY_IN_FULL else [])


@pytest.mark.parametrize("case", [_marked(case) for case in [*IN_EVERY_RUN, *ONLY_IN_FULL]])
def test_it_is_put_back(metrics: Fleet, paths: LabPaths, tmp_path: Path, case: Case) -> None:
    settle(metrics)
    crashed = crash(case, metrics, paths, tmp_path)
    assert crashed.seconds is not None, f"{crashed.differs}\n{crashed.output}"


def test_every_fault_of_an_observer_is_in_every_run() -> None:
    assert {case.fault for case in IN_EVERY_RUN} == set(OBSERVER_FAULTS)


def test_a_killed_sidecar_is_missed_at_once(metrics: Fleet, here: Machine, tmp_path: Path) -> None:
    with running(here, metrics, tmp_path, fault("kill_observer", region="standby", part="sidecar")) as process:
        said = thanos(metrics, BY_REGION)
        assert (set(said.by("region")), bool(said.warnings)) == ({"us"}, True)
        assert scraped(metrics) == {"us": 1.0, "eu": 1.0}
        kill(process)
    assert here.run("recover", "--dry-run")[1].count("eu/sidecar: power: dead -> up") == 1
    _recovered(here)


def test_a_frozen_prometheus_stays_in_a_federation_unchanged(metrics: Fleet, here: Machine, tmp_path: Path) -> None:
    with running(here, metrics, tmp_path, fault("freeze_observer", region="standby", part="prometheus")) as process:
        eventually("its job fails", lambda: scraped(metrics) == {"us": 1.0, "eu": 0.0})
        assert set(federation(metrics, BY_REGION).by("region")) == {"us", "eu"}
        said = thanos(metrics, BY_REGION)
        assert (set(said.by("region")) <= {"us"}, bool(said.warnings or said.error)) == (True, True)
        kill(process)
    _recovered(here)


def test_a_blocked_store_is_lost_alone(metrics: Fleet, here: Machine, tmp_path: Path) -> None:
    with running(here, metrics, tmp_path, fault("block_store_api", region="standby")) as process:
        assert stores(metrics)["eu"]["lastError"] is not None
        assert thanos(metrics, 'count(up{region="us"})', partial_response="false").series
        assert scraped(metrics) == {"us": 1.0, "eu": 1.0}
        kill(process)
    _recovered(here)


def _recovered(here: Machine) -> None:
    code, text = here.run("recover")
    assert code == 0, text
    assert here.run("recover") == (0, "nothing to put back\n")
