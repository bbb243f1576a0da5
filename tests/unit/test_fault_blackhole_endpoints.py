from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faultkit import APP, RUN, Bench, bench
from meshfaultkit import UID, Tables, meshed

from blackstart.evidence.records import FaultState
from blackstart.faults import paths
from blackstart.faults.base import FaultError
from blackstart.faults.blackhole_endpoints import FAULT
from blackstart.faults.inject import Ineffective, inject, restore, still_there
from blackstart.fleet import nft
from blackstart.fleet.model import ControlPath, Fleet

ARGS = {"service": "frontend", "region": "primary"}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        yield found


@pytest.fixture
def tables(here: Bench, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """Only the gateway's user meets the drops."""
    found = Tables(here)
    look = paths.answers

    def answers(fleet: Fleet, path: ControlPath, timeout: float = 1.0) -> bool:
        return path.uid is None or look(fleet, path, timeout)

    monkeypatch.setattr(nft, "_nft", found)
    monkeypatch.setattr(paths, "answers", answers)
    return found


def test_only_the_gateways_user_loses_the_pods(here: Bench, tables: Tables) -> None:
    fleet = meshed(here)
    inject(FAULT, fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    assert f"meta skuid {UID} ip daddr @cut_networks" in tables.scripts[0]
    assert "127.0.0.0/8 timeout 300000ms" in tables.scripts[0]
    assert "3 pods still answer everybody else" in here.said()
    (entry,) = here.store.read(RUN).outstanding
    assert [path["uid"] for path in entry.undo.before["paths"]] == [UID] * 3
    assert restore(entry, fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert tables.names == set()


def test_pods_that_answer_nobody_would_be_noticed_by_kubelets(
    here: Bench, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "answers", lambda fleet, path: False)
    with pytest.raises(Ineffective, match="kubelets notice that"):
        inject(FAULT, meshed(here), ARGS, here.context())


def test_it_is_renewed_as_long_as_the_run_lives(here: Bench, tables: Tables) -> None:
    fleet = meshed(here)
    inject(FAULT, fleet, {**ARGS, "lease": 15.0}, here.context())
    (entry,) = here.store.read(RUN).outstanding
    FAULT.renew(fleet, entry.undo, 15.0)
    assert tables.scripts[-1].startswith("delete element inet bs_fault_run_1_blackhole_endpoints_1 cut_networks")
    tables.expired = True
    still_there(here.store.read(RUN).outstanding, fleet, here.context())
    assert here.states()[-1] is FaultState.INEFFECTIVE


def test_pods_without_a_socket_prove_nothing(here: Bench, tables: Tables) -> None:
    for pod in here.api.pods.values():
        pod["spec"]["containers"][0].pop("readinessProbe")
    with pytest.raises(FaultError, match="nothing could prove"):
        inject(FAULT, meshed(here), ARGS, here.context())


@pytest.mark.parametrize(
    ("more", "why"),
    [({"mesh": None}, "lab up --mesh"), ({"pods": []}, "has no `regions.us.pods`")],
)
def test_what_fleet_yaml_lacks_is_told(here: Bench, tables: Tables, more: dict[str, Any], why: str) -> None:
    with pytest.raises(FaultError, match=why):
        inject(FAULT, meshed(here, **more), ARGS, here.context())
    assert APP in here.api.deployments
    assert tables.scripts == []
