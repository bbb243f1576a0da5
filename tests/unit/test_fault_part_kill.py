"""`gateway-kill` and `istiod-kill`: parts of a mesh that die by themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from faultkit import RUN, Bench, bench
from meshfaultkit import meshed, switched

from blackstart.evidence.records import FaultState
from blackstart.faults.base import FaultError, fault_of
from blackstart.faults.changes import Change
from blackstart.faults.inject import inject, restore

ARGS = {"region": "primary"}
PARTS = pytest.mark.parametrize("part", ["gateway", "istiod"])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        switched(found, monkeypatch)
        yield found


@PARTS
def test_it_dies_and_comes_back(here: Bench, part: str) -> None:
    fleet, fault = meshed(here), fault_of(f"{part}-kill")
    inject(fault, fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    assert (here.folder / part).read_text() == "dead\n"
    (entry,) = here.store.read(RUN).outstanding
    assert fault.changes(fleet, entry.undo) == [Change(f"us/{part}", "power", "dead", "up")]
    assert restore(entry, fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert (here.folder / part).read_text() == "up\n"
    assert not (here.folder / "power").exists(), "the region itself is left alone"


@PARTS
def test_one_that_is_dead_already_is_refused(here: Bench, part: str) -> None:
    (here.folder / part).write_text("dead\n")
    with pytest.raises(FaultError, match="its state is 'dead', not 'up'"):
        inject(fault_of(f"{part}-kill"), meshed(here), ARGS, here.context())


@PARTS
def test_a_region_without_a_mesh_is_refused(here: Bench, part: str) -> None:
    with pytest.raises(FaultError, match="has no `mesh`"):
        inject(fault_of(f"{part}-kill"), here.fleet, ARGS, here.context())


def test_a_gateway_that_is_a_deployment_has_other_faults(here: Bench) -> None:
    fleet = meshed(here)
    mesh = fleet.regions["us"].mesh
    assert mesh is not None
    bare = mesh.model_copy(update={"gateway": mesh.gateway.model_copy(update={"power": None})})
    region = fleet.regions["us"].model_copy(update={"mesh": bare})
    with pytest.raises(FaultError, match=r"regions\.us\.mesh\.gateway has no `power`.*scale or delete_pods"):
        inject(fault_of("gateway-kill"), fleet.model_copy(update={"regions": {"us": region}}), ARGS, here.context())
