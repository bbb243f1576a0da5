"""One guardian looks after all namespaces that a run makes in a region, and after its nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from restorekit import VELERO
from restorerig import Rig, a_rig

from blackstart.plan.wards import wards
from blackstart.schema.procedure import Step

FAULTS = "blackstart.activities.faults"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with a_rig(tmp_path) as found:
        yield found


def test_a_sandbox_and_its_restore_have_the_same_one(rig: Rig) -> None:
    where = {"service": "web", "region": "standby"}
    method = [
        {"type": "action", "provider": {"module": FAULTS, "func": func, "arguments": where}}
        for func in ("sandbox", "delete_namespace")
    ]
    spaces = {"namespaces": {"production-sandbox": "production-sandbox"}}
    wanted = {"backup": "fresh", "from": "standby", "to": "standby", **spaces}
    step = Step.model_validate({"name": "it", "restore": wanted})
    (found,) = wards({"method": method}, rig.fleet, [step])
    assert (found.region, found.namespace) == ("eu", VELERO)
    assert [str(charge.ref) for charge in found.charges] == ["namespace production-sandbox"]
    assert found.slips == ("restored-1", "sandbox-1")
