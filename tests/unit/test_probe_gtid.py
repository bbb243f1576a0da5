"""How much one position lacks of another, in both dialects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackstart.probes.gtid import MariaDbPosition, MySqlSet

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"


@pytest.mark.parametrize(
    ("have", "source", "missing"),
    [
        ("", "", 0),
        ("", "0-1-5", 5),
        ("0-1-5", "0-1-5", 0),
        ("0-1-3", "0-1-5", 2),
        ("0-1-9", "0-1-5", 0),
        ("0-1-100", "0-2-103", 3),
        ("0-1-3,1-2-7", "0-1-5,1-2-9", 4),
        ("1-2-7", "0-1-5,1-2-9", 7),
        (" 0-1-3 , 1-2-9", "0-1-3", 0),
    ],
)
def test_mariadb(have: str, source: str, missing: int) -> None:
    assert MariaDbPosition.parse(have).lacks(MariaDbPosition.parse(source)) == missing


@pytest.mark.parametrize(("have", "source"), [("0-2-5", "0-1-5"), ("0-2-6", "0-1-5")])
def test_mariadb_servers_that_have_parted(have: str, source: str) -> None:
    with pytest.raises(ValueError, match="parted"):
        MariaDbPosition.parse(have).lacks(MariaDbPosition.parse(source))


@pytest.mark.parametrize("text", ["0-1", "0-1-x", "garbage", "0-1-5;0-1-6"])
def test_no_position_of_mariadb(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever int says
        MariaDbPosition.parse(text)


@pytest.mark.parametrize(
    ("have", "source", "missing"),
    [
        ("", "", 0),
        ("", f"{A}:1-5", 5),
        (f"{A}:1-3", f"{A}:1-5", 2),
        (f"{A}:1-3:5", f"{A}:1-5", 1),
        (f"{A.upper()}:1-5", f"{A}:1-5", 0),
        (f"{A}:1-5,{B}:1-2", f"{A}:1-5", 0),
        (f"{A}:1-5", f"{A}:1-5,\n{B}:1-2:9", 3),
        (f"{A}:1-5", f"{A}:1-5:backup:1-3", 3),
        (f"{A}:backup:1-3", f"{A}:1-5:backup:1-3:7", 6),
    ],
)
def test_mysql(have: str, source: str, missing: int) -> None:
    assert MySqlSet.parse(have).lacks(MySqlSet.parse(source)) == missing


@given(st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60)))
def test_mysql_sets_count_as_sets(have: set[int], source: set[int]) -> None:
    def parsed(numbers: set[int]) -> MySqlSet:
        return MySqlSet.parse(f"{A}:" + ":".join(map(str, sorted(numbers))) if numbers else "")

    assert parsed(have).lacks(parsed(source)) == len(source - have)
    both = parsed(have).plus(parsed(source))
    assert both == parsed(have | source)


@pytest.mark.parametrize("text", [A, f"{A}:x-", "garbage"])
def test_no_set_of_mysql(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever int says
        assert MySqlSet.parse(text).runs == {}
