"""A MariaDB store is in order only when its primary is at home and every replica keeps up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from storekit import MariaDb, Pair, fleet, mariadb_pair

from blackstart.fleet.errors import FleetError
from blackstart.procedures import steady


def look(folder: Path, pair: Pair[MariaDb]) -> str:
    return steady.look(fleet(folder, orders=pair), "orders")


WRONG: list[tuple[str, Callable[[Pair[MariaDb]], object], str]] = [
    ("stopped", lambda p: p.eu.sql("STOP SLAVE"), "its IO thread is 'No' .* replication is broken already"),
    ("not applied", lambda p: p.eu.sql("STOP SLAVE SQL_THREAD"), "its SQL thread is 'No'"),
    ("writable replica", lambda p: p.eu.sql("SET GLOBAL read_only = 0"), "is a replica and writable"),
    ("read-only primary", lambda p: p.us.sql("SET GLOBAL read_only = 1"), "is read-only"),
    ("no replica", lambda p: (p.eu.sql("STOP SLAVE"), p.eu.sql("RESET SLAVE ALL")), "follows nobody"),
]


def test_in_order_and_what_is_wrong_is_told(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path) as pair:
        pair.us.insert("w1-0")
        assert look(tmp_path, pair) == "primary in us, in step: eu"
        for name, break_it, said in WRONG:
            break_it(pair)
            with pytest.raises(steady.Unsteady, match=said):
                look(tmp_path, pair)
            if name != "no replica":
                pair.us.sql("SET GLOBAL read_only = 0")
                pair.eu.sql("SET GLOBAL read_only = 1")
                pair.eu.sql("START SLAVE")
                pair.us.insert(name)
                assert look(tmp_path, pair)
        pair.eu.kill()
        with pytest.raises(FleetError):
            look(tmp_path, pair)


def test_a_silent_receiver_is_behind_though_it_says_yes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "BEHIND", 1.0)
    with mariadb_pair(tmp_path) as pair:
        pair.wire.cut()
        pair.us.insert("w1-0")
        assert pair.eu.status()["Seconds_Behind_Master"] == 0
        with pytest.raises(steady.Unsteady, match="more than 1 s behind"):
            look(tmp_path, pair)


def test_semi_sync_that_fell_back_is_wrong(tmp_path: Path) -> None:
    with mariadb_pair(tmp_path, semisync=100) as pair:
        pair.us.insert("w1-0")
        assert look(tmp_path, pair)
        pair.eu.sql("STOP SLAVE IO_THREAD")
        pair.us.insert("w1-1")
        with pytest.raises(steady.Unsteady, match="it has fallen back"):
            look(tmp_path, pair)
