from collections.abc import Iterator
from pathlib import Path

import pytest
from faultkit import APP, RUN, Bench, bench
from meshfaultkit import switched

from blackstart.evidence.records import FaultState
from blackstart.faults.base import FaultError
from blackstart.faults.inject import inject, restore
from blackstart.faults.kill import FAULT
from blackstart.fleet import power
from blackstart.fleet.model import Power

ARGS = {"region": "primary"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        switched(found, monkeypatch)
        yield found


def _restore(here: Bench) -> FaultState:
    (entry,) = here.store.read(RUN).outstanding
    return restore(entry, here.fleet, here.context())


def test_it_dies_and_comes_back(here: Bench) -> None:
    inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    assert (here.folder / "power").read_text() == "dead\n"
    here.api.restart_containers()
    assert _restore(here) is FaultState.CONFIRMED_REVERTED
    assert (here.folder / "power").read_text() == "up\n"


def test_ready_pods_of_before_do_not_count(here: Bench) -> None:
    """A region that came back lists them as Ready until its kubelet reports; they do not answer."""
    inject(FAULT, here.fleet, ARGS, here.context())
    for pod in here.api.pods.values():
        pod["status"]["podIP"] = "127.0.0.2"
    with pytest.raises(FaultError, match=f"not within 2 s: production/{APP}: 0 of 3 pods are back"):
        _restore(here)
    assert here.states()[-1] is FaultState.REVERTED


def test_a_kill_that_never_came_about_is_put_back_with_the_same_containers(
    here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(switched: Power) -> None:
        raise power.PowerError("no electricity")

    monkeypatch.setattr(power, "kill", broken)
    with pytest.raises(power.PowerError, match="no electricity"):
        inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.FAILED]
    assert _restore(here) is FaultState.CONFIRMED_REVERTED


def test_a_region_that_is_dead_already_is_refused(here: Bench) -> None:
    (here.folder / "power").write_text("frozen\n")
    with pytest.raises(FaultError, match="its state is 'frozen', not 'up'"):
        inject(FAULT, here.fleet, ARGS, here.context())


def test_a_region_without_a_switch_is_refused(here: Bench) -> None:
    fleet = here.fleet
    bare = fleet.model_copy(update={"regions": {"us": fleet.regions["us"].model_copy(update={"power": None})}})
    with pytest.raises(FaultError, match="has no `power`"):
        inject(FAULT, bare, ARGS, here.context())
