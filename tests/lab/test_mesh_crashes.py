"""Whatever dies, whenever: a mesh comes back as it was. The other faults: test_crash_matrix.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labcrash import FAULTS, MESH_EXPERIMENTS, Case, crash
from labdrill import settle
from meshlab import split

from blackstart.fleet.model import Fleet
from blackstart.lab.paths import LabPaths

ROUTES = tuple(FAULTS)
CUTS = ("blackhole-endpoints", "block-remote-api")
PARTS = ("gateway-kill", "istiod-kill")

IN_EVERY_RUN = [
    # A guardian, the watchdog, the supervisor: each of them once where routes are changed.
    Case("mesh-abort", "machine", "child", "held"),
    Case("mesh-delay", "both", "child", "apply.after"),
    Case("drain-subset", "kill", "child", "apply.after"),
    # The kernel, or the watchdog.
    Case("blackhole-endpoints", "machine", "child", "held"),
    Case("block-remote-api", "both", "child", "apply.after"),
    Case("gateway-kill", "both", "child", "held"),
    Case("istiod-kill", "kill", "child", "apply.after"),
]

_BITING = ("apply.after", "held")

ONLY_IN_FULL = [
    case
    for case in [
        *(Case(f, how, "child", p) for f in ROUTES for how in ("kill", "both", "machine", "stop") for p in _BITING),
        *(Case(f, how, "child", "patch.before") for f in ROUTES for how in ("machine", "stop")),
        *(Case(f, "machine+guardian", "child", "held") for f in ROUTES),
        *(Case("mesh-abort", how, "child", "held") for how in ("guardian", "network", "api")),
        *(Case("mesh-abort", "kill", "child", p) for p in ("arm.after", "revert.before", "revert.after")),
        *(Case("mesh-abort", "kill", "supervisor", p) for p in ("guardians.after", "child.told", "undo.before")),
        *(Case(f, how, "child", p) for f in CUTS for how in ("kill", "both", "machine", "stop") for p in _BITING),
        # A part that is dead comes back by its power command alone: somebody has to be left to give it.
        *(Case(f, how, "child", p) for f in PARTS for how in ("kill", "both", "stop") for p in _BITING),
        *(Case(f, "kill", "supervisor", "child.told") for f in (*CUTS, *PARTS)),
    ]
    if case not in IN_EVERY_RUN
]
MATRIX = [*IN_EVERY_RUN, *ONLY_IN_FULL]


@pytest.fixture(scope="module", autouse=True)
def _something_to_drain(mesh: Fleet) -> Iterator[None]:
    with split(mesh):
        yield


def _marked(case: Case) -> Any:
    return pytest.param(case, id=str(case), marks=pytest.mark.full if case in ONLY_IN_FULL else [])


@pytest.mark.parametrize("case", [_marked(case) for case in MATRIX])
def test_it_is_put_back(mesh: Fleet, tmp_path: Path, case: Case) -> None:
    settle(mesh)
    crashed = crash(case, mesh, LabPaths((mesh.source or Path()).parent), tmp_path)
    assert crashed.seconds is not None, f"{crashed.differs}\n{crashed.output}"


def test_every_fault_of_a_mesh_is_in_every_run() -> None:
    assert len(set(MATRIX)) == len(MATRIX)
    assert {case.fault for case in IN_EVERY_RUN} == {*MESH_EXPERIMENTS, *FAULTS}
