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

MATRIX = [
    # Every step of the fault with the most steps, and of the one that the kernel takes back.
    *(Case("scale", "kill", "child", point) for point in (*CHILD, "patch.before", *LATE)),
    *(Case("scale", "kill", "supervisor", point) for point in (*SUPERVISOR, "renew.after", "unlock.before")),
    *(Case("scale", "both", "child", point) for point in ("arm.after", "patch.before", "apply.after", "held")),
    *(Case("scale", "machine", "child", point) for point in ("patch.before", "apply.after", "held")),
    *(Case("scale", "stop", "child", point) for point in ("fence.after", "patch.before", "apply.after", "held")),
    *(Case("scale", "stop", "supervisor", point) for point in ("renew.before", "child.told")),
    Case("scale", "network", "child", "held"),
    Case("scale", "api", "child", "held"),
    *(Case("sever", "kill", "child", point) for point in (*CHILD, *LATE)),
    *(Case("sever", "kill", "supervisor", point) for point in SUPERVISOR),
    *(Case("sever", "both", "child", point) for point in ("apply.after", "held")),
    *(Case("sever", "machine", "child", point) for point in ("apply.after", "held")),
    *(Case("sever", "stop", "child", point) for point in ("arm.after", "apply.after")),
    Case("sever", "stop", "supervisor", "renew.before"),
    # The others: the points at which something is broken and nobody has said so yet.
    *(Case("isolate", how, "child", "apply.after") for how in ("kill", "both", "machine", "stop")),
    *(Case("kill", how, "child", "apply.after") for how in ("kill", "both", "stop")),
    Case("kill", "kill", "supervisor", "child.told"),
    Case("kill", "both", "child", "held"),
    *(Case("delete-pods", how, "child", "apply.after") for how in ("kill", "both", "machine")),
    *(Case("chaosk8s", how, "child", "call.before") for how in ("kill", "both", "machine", "stop")),
    *(Case("chaosk8s", how, "child", "held") for how in ("kill", "both", "machine")),
    # What has no namespace, and what cannot carry its own record.
    *(Case(fault, how, "child", "held") for fault in OTHERS for how in ("kill", "both", "machine")),
    *(Case(fault, how, "child", "call.before") for fault in OTHERS for how in ("kill", "both", "machine", "stop")),
    *(Case(fault, how, "child", "slip.before") for fault in ("policy", "service") for how in ("machine", "stop")),
    *(Case(fault, "machine", "child", "apply.after") for fault in OTHERS),
    *(Case("cordon", "kill", "supervisor", point) for point in ("guardians.before", "guardians.after", "undo.after")),
    *(Case("cordon", "kill", "supervisor", point) for point in ("guardians.end", "unlock.before")),
    # Between the two objects of a guardian that nothing owns.
    *(Case("cordon", "kill", "supervisor", point) for point in ("clusterrole.after", "lease.released")),
    Case("cordon", "machine", "supervisor", "lease.released"),
]


IN_EVERY_RUN = {
    *(
        Case("scale", "kill", "child", point)
        for point in ("arm.after", "patch.before", "applied.after", "revert.before")
    ),
    *(Case("scale", "kill", "supervisor", point) for point in ("lock.after", "guardians.after", "undo.before")),
    *(Case("scale", "machine", "child", point) for point in ("patch.before", "held")),
    *(Case("scale", "stop", "child", point) for point in ("patch.before", "held")),
    Case("scale", "network", "child", "held"),
    Case("sever", "both", "child", "held"),
    Case("sever", "stop", "child", "apply.after"),
    Case("isolate", "both", "child", "apply.after"),
    Case("kill", "kill", "child", "apply.after"),
    Case("kill", "both", "child", "held"),
    Case("delete-pods", "both", "child", "apply.after"),
    Case("chaosk8s", "kill", "child", "call.before"),
    Case("chaosk8s", "machine", "child", "held"),
    *(Case(fault, "machine", "child", "held") for fault in OTHERS),
    Case("cordon", "kill", "supervisor", "guardians.after"),
    Case("policy", "stop", "child", "slip.before"),
}
"""A case takes 20 s: `make test` has these, `make test-full` all."""


def _marked(case: Case) -> Any:
    return pytest.param(case, id=str(case), marks=[] if case in IN_EVERY_RUN else pytest.mark.full)


@pytest.mark.parametrize("case", [_marked(case) for case in MATRIX])
def test_it_is_put_back(lab: Fleet, paths: LabPaths, tmp_path: Path, case: Case) -> None:
    settle(lab)
    crashed = crash(case, lab, paths, tmp_path)
    assert crashed.seconds is not None, f"{crashed.differs}\n{crashed.output}"


def test_the_matrix_is_large_enough() -> None:
    assert len(set(MATRIX)) == len(MATRIX) >= 60
    assert set(MATRIX) >= IN_EVERY_RUN
