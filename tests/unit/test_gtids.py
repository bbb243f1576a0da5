"""Which transactions one server has that another has not."""

from __future__ import annotations

import pytest

from blackstart.procedures.gtids import only_in, parse, told

CASES = [
    # old primary, new primary's log, what the new one had before its log
    ("0-1-1128", "0-1-1128,0-2-1648", "0-1-1128", ""),
    ("0-1-4025", "0-1-1128,0-2-1648", "0-1-1128", "0-1-1129..0-1-4025"),
    ("0-1-1129", "0-1-1128,0-2-1648", "0-1-1128", "0-1-1129"),
    # the new one was filled from a dump: its log begins later
    ("0-2-150,0-1-500", "", "0-1-500", ""),
    ("0-2-150,0-1-501", "", "0-1-500", "0-1-501"),
    # a base that the old one never had vouches for nothing
    ("0-1-10", "0-3-20", "0-3-20", "0-1-1..0-1-10"),
    ("1-1-5,0-1-5", "0-1-5", "", "1-1-1..1-1-5"),
    ("", "0-1-5", "", ""),
]


@pytest.mark.parametrize(("old", "new", "start", "extra"), CASES)
def test_what_only_the_old_one_has(old: str, new: str, start: str, extra: str) -> None:
    assert told(only_in(parse(old), parse(new), parse(start))) == extra
