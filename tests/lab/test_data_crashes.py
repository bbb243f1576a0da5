"""Faults of stores come back though their run dies: by the watchdog, before anybody runs `recover`."""

from __future__ import annotations

from pathlib import Path

import pytest
from datadrill import PATHS, as_before
from datalab import eventually, everywhere, placed, server
from labcrash import STORE_FAULTS, Case, crash

from blackstart.evidence.records import FaultState
from blackstart.evidence.undo import Store
from blackstart.fleet.model import Fleet


@pytest.mark.parametrize("case", [Case(fault, "both", "child", "held") for fault in STORE_FAULTS], ids=str)
def test_the_watchdog_puts_it_back(data: Fleet, tmp_path: Path, case: Case) -> None:
    """kill -9 of the runner and of who injects. A cut would expire in the kernel later; records tell who was it."""
    with as_before(data):
        crashed = crash(case, data, PATHS, tmp_path)
        assert crashed.seconds is not None, f"{crashed.differs}\n{crashed.output}"
        (log,) = (tmp_path / "out").glob("*/watchdog.log")
        (found,) = Store(tmp_path / "state").read().latest.values()
        assert found.state is FaultState.CONFIRMED_REVERTED, log.read_text()
        assert "nothing is outstanding" in log.read_text()
        assert server(PATHS, "eu").follows("mariadb")
        order = placed(data)
        eventually("the order is everywhere", lambda: everywhere(data, order), 40.0)
