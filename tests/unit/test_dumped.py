"""The database dump of a backup: which one counts, what must be in it, and that a step looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from loopback import free_address
from restorerig import Rig, a_rig

from blackstart.evidence.restores import Rows
from blackstart.fleet.backups import Listing
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet
from blackstart.fleet.velero import Backup, backup_of
from blackstart.procedures.base import StepError
from blackstart.procedures.dumped import SLACK, compared, rows_at_home, written_during
from blackstart.procedures.sqldump import Dumped
from blackstart.schema.restore import Dump, Restore

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DUMP: dict[str, Any] = {"prefix": "orders/shop-", "tables": {"shop.orders": 2}}
TEXT = b"USE `shop`;\nINSERT INTO `orders` VALUES (1,'a'),(2,'b'),(3,'c');\n-- Dump completed on today\n"


def taken(seconds: int = 2, **status: Any) -> Backup:
    """A backup that took so long."""
    times = {"startTimestamp": BEGUN.isoformat(), "completionTimestamp": (BEGUN + seconds * SECOND).isoformat()}
    return backup_of({"metadata": {"name": "b"}, "status": {**times, **status}}, "run")


def at(**keys: timedelta) -> list[Listing]:
    return [Listing(key, BEGUN + after, 1) for key, after in keys.items()]


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (at(a=-SECOND * 60, b=SECOND, c=SECOND * 60), "b"),
        (at(a=SECOND, b=SECOND * 2), "b"),
        (at(a=-SLACK), "a"),
        (at(a=-SLACK - SECOND, b=SECOND * 3 + SLACK), None),
        ([], None),
    ],
)
def test_the_newest_that_was_written_meanwhile(there: list[Listing], found: str | None) -> None:
    chosen = written_during(there, taken())
    assert (chosen.key if chosen else None) == found


def test_a_backup_without_times_has_no_dump() -> None:
    assert written_during(at(a=SECOND), taken(completionTimestamp=None)) is None
    assert written_during(at(a=SECOND), taken(startTimestamp="soon")) is None


@pytest.mark.parametrize(
    ("rows", "before", "fresh", "says"),
    [
        (3, 3, True, None),
        (4, 3, True, None),
        (2, None, False, None),
        (2, 3, True, "dump k has 2 rows of shop.orders; there were 3 before the backup"),
        (1, None, False, "dump k has 1 rows of shop.orders; the drill wants 2"),
        (1, 1, True, "the drill wants 2"),
        (0, None, True, "dump k has 0 rows of shop.orders; the drill wants 2"),
    ],
)
def test_rows_against_what_must_be(rows: int, before: int | None, fresh: bool, says: str | None) -> None:
    found = Dumped({"shop.orders": rows} if rows else {}, whole=True)
    told = compared("k", found, Dump.model_validate(DUMP), {"shop.orders": before}, fresh=fresh)
    assert told.unknown == []
    assert len(told.objections) == (says is not None)
    assert says is None or says in told.objections[0]


def test_rows_that_nobody_counted_before_are_not_known() -> None:
    told = compared("k", Dumped({"orders": 5}, whole=True), Dump.model_validate(DUMP), {}, fresh=True)
    assert (told.objections, told.rows) == ([], {"shop.orders": Rows(found=5, fewest=None)})
    assert told.unknown == ["shop.orders: how many rows it had before the backup is not known"]


def test_a_dump_that_was_not_completed() -> None:
    told = compared("k", Dumped({"shop.orders": 5}, whole=False), Dump.model_validate(DUMP), {}, fresh=False)
    assert told.objections == ["dump k does not say that it was completed"]


@pytest.mark.parametrize("table", ["orders", "shop.`orders`", "shop.orders; DROP TABLE x", "a.b.c", "shop.ord ers"])
def test_names_of_tables_that_are_none(table: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Dump.model_validate({**DUMP, "tables": {table: 1}})


def test_rows_are_only_counted_before_a_fresh_backup(tmp_path: Path) -> None:
    with a_rig(tmp_path) as rig:
        wanted = {"backup": "newest", "from": "primary", "to": "standby", "dump": {**DUMP, "store": "db"}}
        assert rows_at_home(rig.fleet, Restore.model_validate(wanted)) == {}
        assert rows_at_home(rig.fleet, Restore.model_validate({**wanted, "backup": "fresh", "dump": DUMP})) == {}
        store = {"kind": "mariadb", "primary": "us", "members": {"us": {"address": free_address(), "place": "here"}}}
        fleet = Fleet.model_validate({**rig.document(), "stores": {"db": store}})
        with pytest.raises(FleetError, match="refused"):
            rows_at_home(fleet, Restore.model_validate({**wanted, "backup": "fresh"}))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """One with dumps, one of which belongs to the backup."""
    with a_rig(tmp_path) as found:
        bucket = found.document()["backups"]
        found.fleet = Fleet.model_validate({**found.document(), "dumps": {**bucket, "bucket": "dumps"}})
        object.__setattr__(found.work, "fleet", found.fleet)
        found.bucket.dumps = {
            "orders/shop-old": (BEGUN - 3600 * SECOND, TEXT),
            "orders/shop-new": (BEGUN + SECOND, TEXT),
            "users/shop-new": (BEGUN + SECOND, b""),
        }
        yield found


def test_a_step_counts_the_dump(rig: Rig) -> None:
    said = rig.do(dump=DUMP)
    assert said == "backup nightly: 4 objects proven in production-dr; in its dump 3 rows of shop.orders"
    assert (rig.record.dump, rig.record.rows) == ("orders/shop-new", {"shop.orders": Rows(found=3, fewest=2)})


@pytest.mark.parametrize(
    ("dump", "says"),
    [
        (None, r"no dump orders/shop-\* was written while .* \(the newest was written at 2025-12-31T23:00:00Z\)"),
        (TEXT[:50], "cannot be read: it ends amid|cannot be read: a row of shop.orders has"),
        (b"", "does not say that it was completed"),
        (TEXT.replace(b",(2,'b'),(3,'c')", b""), "has 1 rows of shop.orders; the drill wants 2"),
    ],
)
def test_a_dump_that_is_none_fails_the_step(rig: Rig, dump: bytes | None, says: str) -> None:
    if dump is None:
        del rig.bucket.dumps["orders/shop-new"]
    else:
        rig.bucket.dumps["orders/shop-new"] = (BEGUN, dump)
    with pytest.raises(StepError, match=says):
        rig.do(dump=DUMP)
    assert rig.record.phase == "Completed"
