import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from faultkit import APP, RUN, Bench, bench, switch

from blackstart.evidence.records import FaultState
from blackstart.faults.base import FaultError
from blackstart.faults.delete_pods import FAULT
from blackstart.faults.inject import inject, restore

ARGS = {"service": "frontend", "region": "primary"}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        yield found


def test_exactly_the_captured_pods_die_and_new_ones_come(here: Bench) -> None:
    before = set(here.api.pods)
    inject(FAULT, here.fleet, ARGS, here.context())
    assert here.states() == [FaultState.ARMED, FaultState.APPLIED, FaultState.CONFIRMED]
    assert before.isdisjoint(here.api.pods)
    switch(here.service, True)
    (entry,) = here.store.read(RUN).outstanding
    assert restore(entry, here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert "3 pods ready, 3 of them new" in here.said()


def test_it_is_not_back_before_new_pods_are_ready(here: Bench) -> None:
    here.api.recreate = False
    inject(FAULT, here.fleet, ARGS, here.context())
    (entry,) = here.store.read(RUN).outstanding

    def later() -> None:
        here.api.recreate = True
        here.api.settle(APP)

    timer = threading.Timer(0.6, later)
    timer.start()
    assert restore(entry, here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert len(here.api.pods) == 3
    timer.join()


def test_pods_that_cannot_be_asked_prove_nothing(here: Bench) -> None:
    for pod in here.api.pods.values():
        del pod["spec"]["containers"][0]["readinessProbe"]
    with pytest.raises(FaultError, match="no readinessProbe by HTTP"):
        inject(FAULT, here.fleet, ARGS, here.context())


def test_no_pods_is_nothing_to_break(here: Bench) -> None:
    here.api.pods.clear()
    with pytest.raises(FaultError, match="nothing to break"):
        inject(FAULT, here.fleet, ARGS, here.context())
