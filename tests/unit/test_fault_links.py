from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faultkit import RUN, Bench, bench
from meshfaultkit import Tables

from blackstart.evidence.records import FaultState
from blackstart.faults import inject as injecting
from blackstart.faults import isolate, sever
from blackstart.faults.base import Fault, FaultError
from blackstart.faults.inject import Ineffective, inject, restore, still_there
from blackstart.fleet import nft

CUTS = [(sever.FAULT, {"link": ["primary", "there"]}), (isolate.FAULT, {"region": "primary"})]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        yield found


@pytest.fixture
def tables(here: Bench, monkeypatch: pytest.MonkeyPatch) -> Tables:
    found = Tables(here)
    monkeypatch.setattr(nft, "_nft", found)
    return found


@pytest.mark.parametrize(("fault", "args"), CUTS)
def test_it_cuts_and_heals(here: Bench, tables: Tables, fault: Fault, args: dict[str, Any]) -> None:
    (name,) = inject(fault, here.fleet, args, here.context())
    assert tables.names == {f"bs_fault_run_1_{name.replace('-', '_')}"}
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    (entry,) = here.store.read(RUN).outstanding
    assert entry.undo.clusters == {"us": here.api.uid}
    assert entry.undo.data["expires"] == sever.EXPIRES
    assert restore(entry, here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert tables.names == set()


def test_a_second_way_round_is_no_cut(here: Bench, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    tables.bites = False
    monkeypatch.setattr(injecting, "BITES_WITHIN", 0.8)
    with pytest.raises(Ineffective, match=r"there -> 127\.0\.0\.1:.*established"):
        inject(isolate.FAULT, here.fleet, {"region": "us"}, here.context())
    assert here.states()[-1] is FaultState.INEFFECTIVE


def test_a_cut_that_expired_before_the_undo_is_told(here: Bench, tables: Tables) -> None:
    inject(isolate.FAULT, here.fleet, {"region": "us", "expires": 5}, here.context())
    tables.expired = True
    still_there(here.store.read(RUN).outstanding, here.fleet, here.context())
    assert here.states()[-1] is FaultState.INEFFECTIVE
    assert "not cut (any more) at here, there" in here.said()


@pytest.mark.parametrize(
    ("fault", "args", "why"),
    [
        (sever.FAULT, {"link": "us-there"}, "names two ends"),
        (sever.FAULT, {"link": ["primary", "ther"]}, 'did you mean "there"'),
        (sever.FAULT, {"link": ["here", "there"]}, "no link between here and there"),
        (sever.FAULT, {"link": ["us", "there"], "expires": 0}, "above 0"),
        (isolate.FAULT, {"region": "frontend"}, "unknown region"),
    ],
)
def test_bad_arguments_are_told(here: Bench, fault: Fault, args: dict[str, Any], why: str) -> None:
    with pytest.raises(FaultError, match=why):
        inject(fault, here.fleet, args, here.context())
