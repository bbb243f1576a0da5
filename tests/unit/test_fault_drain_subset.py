import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faultkit import RUN, Bench, bench
from routekit import DEFAULT, add

from blackstart.evidence.records import FaultState
from blackstart.faults.base import FaultError
from blackstart.faults.drain_subset import FAULT, shares
from blackstart.faults.inject import inject, restore

ARGS = {"service": "frontend", "region": "primary", "subset": "v1"}


def to(subset: str, weight: int | None = None) -> dict[str, Any]:
    return {"destination": {"host": "a", "subset": subset}, **({} if weight is None else {"weight": weight})}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        yield found


def test_the_others_take_its_weight(here: Bench) -> None:
    found = add(here, {"route": [to("v1", 50), to("v2", 30), to("v3", 20)]}, {"route": [to("v1")]}, DEFAULT)
    before = copy.deepcopy(found["spec"])
    inject(FAULT, here.fleet, ARGS, here.context())
    assert [route["weight"] for route in found["spec"]["http"][0]["route"]] == [0, 60, 40]
    assert found["spec"]["http"][1:] == before["http"][1:], "one that leads nowhere else is left alone"
    (entry,) = here.store.read(RUN).outstanding
    assert restore(entry, here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert found["spec"] == before


@pytest.mark.parametrize(
    "routes",
    [
        [DEFAULT],
        [{"route": [to("v1", 100)]}],
        [{"route": [to("v1", 0), to("v2", 100)]}],
        [{"redirect": {"uri": "/"}}],
    ],
)
def test_nothing_to_drain_is_refused(here: Bench, routes: list[dict[str, Any]]) -> None:
    add(here, *routes)
    with pytest.raises(FaultError, match="nothing to break"):
        inject(FAULT, here.fleet, ARGS, here.context())


@pytest.mark.parametrize(
    ("weight", "of", "parts"),
    [(50, [30, 20], [30, 20]), (10, [1, 1, 1], [4, 3, 3]), (7, [0, 0], [4, 3]), (100, [0], [100])],
)
def test_no_weight_is_lost(weight: int, of: list[int], parts: list[int]) -> None:
    assert shares(weight, of) == parts
