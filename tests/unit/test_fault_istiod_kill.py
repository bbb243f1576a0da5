from collections.abc import Iterator
from pathlib import Path

import pytest
from faultkit import RUN, Bench, bench
from meshfaultkit import meshed, switched

from blackstart.evidence.records import FaultState
from blackstart.faults.base import FaultError
from blackstart.faults.changes import Change
from blackstart.faults.inject import inject, restore
from blackstart.faults.istiod_kill import FAULT

ARGS = {"region": "primary"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        switched(found, monkeypatch)
        yield found


def test_it_dies_and_comes_back(here: Bench) -> None:
    fleet = meshed(here)
    inject(FAULT, fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    assert (here.folder / "istiod").read_text() == "dead\n"
    (entry,) = here.store.read(RUN).outstanding
    assert FAULT.changes(fleet, entry.undo) == [Change("us/istiod", "power", "dead", "up")]
    assert restore(entry, fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert (here.folder / "istiod").read_text() == "up\n"
    assert not (here.folder / "power").exists(), "the region itself is left alone"


def test_one_that_is_dead_already_is_refused(here: Bench) -> None:
    (here.folder / "istiod").write_text("dead\n")
    with pytest.raises(FaultError, match="its state is 'dead', not 'up'"):
        inject(FAULT, meshed(here), ARGS, here.context())


def test_a_region_without_a_mesh_is_refused(here: Bench) -> None:
    with pytest.raises(FaultError, match="has no `mesh`"):
        inject(FAULT, here.fleet, ARGS, here.context())
