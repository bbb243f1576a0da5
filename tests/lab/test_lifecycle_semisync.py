"""The drill of semi-synchronous replication, in a lab of its own: none lost, and it waits again afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datadrill import PATHS, acknowledged, as_before, counted_truly, drill, passed
from datalab import server

from blackstart.lab import native
from blackstart.lab.data import DATABASE


@pytest.mark.full
def test_semi_synchronous_replication_loses_nothing(session_lab: Any, tmp_path: Path) -> None:
    session_lab.down()
    try:
        fleet = native.up(["us", "eu"], PATHS, print, data=True, semi_sync=True)
        with as_before(fleet):
            ran = drill("database-failover-semisync", fleet, tmp_path, {"objectives.0.objective": "17s"})
            passed(ran)
            lost = counted_truly(ran)
            assert lost[DATABASE, "orders"] == 0
            status = server(PATHS, "us").sql("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_status'")
            assert status.split()[-1] == "ON"
        print(f"lost {lost} of {len(acknowledged(ran))}")
    finally:
        native.down(PATHS, print)
