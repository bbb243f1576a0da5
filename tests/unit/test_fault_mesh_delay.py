import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faultkit import RUN, Bench, bench
from loopback import http
from routekit import add

from blackstart.evidence.records import FaultState
from blackstart.faults.base import FaultError
from blackstart.faults.inject import inject, restore
from blackstart.faults.mesh_delay import FAULT

ARGS = {"service": "frontend", "region": "primary", "delay": 0.05}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as found:
        yield found


def test_a_client_waits_until_it_is_put_back(here: Bench) -> None:
    found = add(here)

    def answer(head: str) -> bytes:
        time.sleep(0.06 if "fault" in str(found["spec"]) else 0)
        return http({})

    here.service.answer = answer
    inject(FAULT, here.fleet, ARGS, here.context())
    assert found["spec"]["http"][0]["fault"] == {"delay": {"percentage": {"value": 100.0}, "fixedDelay": "0.05s"}}
    assert here.states()[-1] is FaultState.CONFIRMED
    (entry,) = here.store.read(RUN).outstanding
    assert restore(entry, here.fleet, here.context()) is FaultState.CONFIRMED_REVERTED
    assert "fault" not in found["spec"]["http"][0]


@pytest.mark.parametrize("delay", [None, 0, "1s", 11, True])
def test_a_delay_is_a_number_of_seconds(here: Bench, delay: object) -> None:
    with pytest.raises(FaultError, match="number of seconds"):
        inject(FAULT, here.fleet, {**ARGS, "delay": delay}, here.context())
