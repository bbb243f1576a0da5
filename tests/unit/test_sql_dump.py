"""Rows of an SQL dump: whatever is in its strings, however it is cut into pieces, and never of half a dump."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackstart.procedures.archive import Damaged
from blackstart.procedures.sqldump import Dumped, count

DUMP = b"""-- MariaDB dump 10.19  Distrib 10.11.14-MariaDB
/*!40101 SET NAMES utf8mb4 */;
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop`;
USE `shop`;
DROP TABLE IF EXISTS `orders`;
CREATE TABLE `orders` (
  `n` bigint(20) NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`n`)
);
LOCK TABLES `orders` WRITE;
INSERT INTO `orders` VALUES
(1,'a','2026-11-26 06:00:00.000001'),
(2,'it''s (not) a row, (3)\\'); INSERT INTO `orders` VALUES (4)','x'),
(3,NULL,_binary '\\0\\n(');
INSERT INTO `orders` (`n`, `id`) VALUES (4,'d');
UNLOCK TABLES;
INSERT INTO `events` VALUES (1,'e'),(2,'f'),(-3.5e2,0x00FF);
-- Dump completed on 2026-11-26  6:00:01
"""


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
@pytest.mark.parametrize("packed", [False, True])
def test_rows_are_counted(size: int, packed: bool) -> None:
    data = gzip.compress(DUMP) if packed else DUMP
    assert count(pieces(data, size)) == Dumped({"shop.orders": 4, "shop.events": 3}, whole=True)


def test_a_file_of_several_gzips() -> None:
    half = DUMP.index(b"UNLOCK")
    assert count([gzip.compress(DUMP[:half]) + gzip.compress(DUMP[half:])]).of("shop.events") == 3


def test_a_dump_of_one_database_does_not_name_it() -> None:
    found = count([DUMP.replace(b"USE `shop`;\n", b"")])
    assert (found.of("shop.orders"), found.of("shop.none")) == (4, None)


def test_what_triggers_insert_is_no_row() -> None:
    trigger = (
        b"DELIMITER ;;\nCREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW\nINSERT INTO `orders` VALUES (9) ;;\n"
    )
    found = count([DUMP.replace(b"UNLOCK TABLES;\n", trigger + b"DELIMITER ;\n")])
    assert found.rows == {"shop.orders": 4, "shop.events": 3}


def test_a_dump_that_was_not_completed() -> None:
    assert not count([DUMP[: DUMP.index(b"-- Dump")]]).whole


@pytest.mark.parametrize("end", [b"(3,NULL", b",'x'),", b"not) a"])
def test_a_dump_that_is_cut_amid_rows(end: bytes) -> None:
    with pytest.raises(Damaged):
        count([DUMP[: DUMP.index(end) + len(end)]])


def test_a_gzip_that_is_cut_or_spoilt() -> None:
    packed = gzip.compress(DUMP)
    for spoilt in (packed[:-9], packed[:40], packed[:60] + b"\0\0\0" + packed[63:]):
        with pytest.raises(Damaged, match="gzip"):
            count([spoilt])


def test_something_else_has_no_rows() -> None:
    for data in (b"", b"\x1f", b"PAR1\x00\x01", b"INSERT COIN"):
        assert count([data]) == Dumped({}, whole=False)


def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackstart.procedures.sqldump.LONGEST", 1000)
    with pytest.raises(Damaged, match="is it an SQL dump"):
        count([b"x" * 600, b"x" * 600])


def literal(text: str) -> str:
    """As mysqldump writes a string."""
    for plain, written in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(plain, written)
    return f"'{text}'"


VALUES = st.one_of(
    st.integers().map(str), st.just("NULL"), st.text(alphabet="ab(),;'\\\n`-0", max_size=12).map(literal)
)
TABLES = st.dictionaries(
    st.from_regex(r"[a-z_]{1,6}", fullmatch=True),
    st.lists(st.lists(VALUES, min_size=1, max_size=3), min_size=1, max_size=6),
    max_size=3,
)


@settings(deadline=None)
@given(TABLES, st.booleans(), st.booleans(), st.integers(1, 50))
def test_whatever_is_written_is_counted(
    tables: dict[str, list[list[str]]], one_line: bool, packed: bool, size: int
) -> None:
    text = "USE `d`;\n"
    for name, rows in tables.items():
        between = "," if one_line else ",\n"
        text += f"INSERT INTO `{name}` VALUES" + (" " if one_line else "\n")
        text += between.join(f"({','.join(row)})" for row in rows) + ";\n"
    data = (text + "-- Dump completed on today\n").encode()
    expected = {f"d.{name}": len(rows) for name, rows in tables.items()}
    assert count(pieces(gzip.compress(data) if packed else data, size)) == Dumped(expected, whole=True)
