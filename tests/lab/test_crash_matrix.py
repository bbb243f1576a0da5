"""Whatever dies, whenever: the fleet comes back as it was. More points: bench/crash_matrix.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from labcrash import Case, crash
from labdrill import settle

from blackstart.fleet.model import Fleet
from blackstart.lab.paths import LabPaths

CHILD = ("arm.before", "arm.after", "apply.after", "applied.after", "confirmed.after", "held", "revert.before")
LATE = ("revert.after", "reverted.after", "confirm_reverted.after")
SUPERVISOR = ("lock.after", "guardians.after", "watchdog.after", "child.announced", "undo.before", "undo.after")

OTHERS = ("cordon", "policy", "service")

IN_EVERY_RUN = [
    # Every step of the fault with the most steps, and of the one that the kernel takes back.
    *(Case("scale", "kill", "child", point) for point in (*CHILD[1:], "patch.before", "revert.after")),
    *(Case("scale", "kill", "supervisor", point) for point in (*SUPERVISOR, "renew.after", "unlock.before")),
    *(Case("scale", "both", "child", point) for point in ("arm.after", "patch.before", "apply.after", "held")),
    *(Case("scale", "machine", "child", point) for point in ("patch.before", "apply.after", "held")),
    *(Case("scale", "stop", "child", point) for point in ("patch.before", "held")),
    *(Case("scale", how, "child", "held") for how in ("guardian", "machine+guardian", "network", "api")),
    Case("scale", "stop", "supervisor", "renew.before"),
    *(Case("sever", "kill", "child", point) for point in CHILD[1:]),
    *(Case("sever", "kill", "supervisor", point) for point in ("lock.after", "child.announced", "undo.before")),
    *(Case("sever", "both", "child", point) for point in ("apply.after", "held")),
    Case("sever", "machine", "child", "held"),
    Case("sever", "stop", "child", "apply.after"),
    Case("sever", "stop", "supervisor", "renew.before"),
    # The others: the points at which something is broken and nobody has said so yet.
    *(Case("isolate", how, "child", "apply.after") for how in ("both", "machine")),
    Case("kill", "kill", "child", "apply.after"),
    Case("kill", "kill", "supervisor", "child.told"),
    Case("kill", "both", "child", "held"),
    Case("delete-pods", "both", "child", "apply.after"),
    *(Case("chaosk8s", how, "child", "call.before") for how in ("kill", "both", "machine")),
    Case("chaosk8s", "machine", "child", "held"),
    # What has no namespace, and what cannot carry its own record.
    *(Case(fault, "machine", "child", "held") for fault in OTHERS),
    Case("cordon", "kill", "supervisor", "clusterrole.after"),
    Case("policy", "stop", "child", "slip.before"),
    Case("service", "both", "child", "call.before"),
]
"""A case takes 12 s, some 25 s: `make test` has these, `make test-full` has their near relations, too."""

ONLY_IN_FULL = [
    *(Case("scale", "kill", "child", point) for point in ("arm.before", *LATE[1:])),
    *(Case("scale", "stop", "child", point) for point in ("fence.after", "apply.after")),
    Case("scale", "stop", "supervisor", "child.told"),
    *(Case("sever", "kill", "child", p) for p in ("arm.before", *LATE)),
    *(Case("sever", "kill", "supervisor", point) for point in ("guardians.after", "watchdog.after", "undo.after")),
    Case("sever", "machine", "child", "apply.after"),
    Case("sever", "stop", "child", "arm.after"),
    *(Case("isolate", how, "child", "apply.after") for how in ("kill", "stop")),
    *(Case("kill", how, "child", "apply.after") for how in ("both", "stop")),
    *(Case("delete-pods", how, "child", "apply.after") for how in ("kill", "machine")),
    Case("chaosk8s", "stop", "child", "call.before"),
    *(Case("chaosk8s", how, "child", "held") for how in ("kill", "both")),
    *(Case(fault, how, "child", "held") for fault in OTHERS for how in ("kill", "both")),
    *(Case(fault, how, "child", "call.before") for fault in OTHERS for how in ("kill", "machine", "stop")),
    *(Case(fault, "both", "child", "call.before") for fault in ("cordon", "policy")),
    *(Case(fault, "machine", "child", "slip.before") for fault in ("policy", "service")),
    Case("service", "stop", "child", "slip.before"),
    *(Case(fault, "machine", "child", "apply.after") for fault in OTHERS),
    *(Case("cordon", "kill", "supervisor", point) for point in ("guardians.before", "guardians.after", "undo.after")),
    *(Case("cordon", "kill", "supervisor", point) for point in ("guardians.end", "unlock.before")),
    # Between the two objects of a guardian that nothing owns.
    Case("cordon", "kill", "supervisor", "lease.released"),
    Case("cordon", "machine", "supervisor", "lease.released"),
]
MATRIX = [*IN_EVERY_RUN, *ONLY_IN_FULL]


def _marked(case: Case) -> Any:
    return pytest.param(case, id=str(case), marks=pytest.mark.full if case in ONLY_IN_FULL else [])


@pytest.mark.parametrize("case", [_marked(case) for case in MATRIX])
def test_it_is_put_back(lab: Fleet, paths: LabPaths, tmp_path: Path, case: Case) -> None:
    settle(lab)
    crashed = crash(case, lab, paths, tmp_path)
    assert crashed.seconds is not None, f"{crashed.differs}\n{crashed.output}"


def test_the_matrix_is_large_enough() -> None:
    assert len(set(MATRIX)) == len(MATRIX)
    assert len(IN_EVERY_RUN) >= 60
