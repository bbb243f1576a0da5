"""How far apart schedules fire at worst; the figures are those of robfig/cron v3, which Velero uses."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackstart.plan.backup.cron import longest_gap

HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("schedule", "gap"),
    [
        ("* * * * *", 60),
        ("*/15 * * * *", 900),
        ("7,50 * * * *", 43 * 60),
        ("0 2 * * *", DAY),
        ("0 */5 * * *", 5 * HOUR),
        ("0 9-17 * * mon-fri", 2 * DAY + 16 * HOUR),
        ("0 3 * * 0", 7 * DAY),
        ("0 3 * * SUN,wed", 4 * DAY),
        ("0 0 1 * *", 31 * DAY),
        ("0 0 31 * *", 61 * DAY),
        ("0 0 29 2 *", 1461 * DAY),
        ("5/20 4 * * ?", 23 * HOUR + 20 * 60),
        ("@hourly", HOUR),
        ("@daily", DAY),
        ("@weekly", 7 * DAY),
        ("@every 1h30m", 5400),
        ("  0 2 * * *  ", DAY),
        ("CRON_TZ=UTC 0 2 * * *", DAY),
        ("TZ=Europe/Berlin 0 2 * * *", DAY + HOUR),
    ],
)
def test_gaps(schedule: str, gap: int) -> None:
    assert longest_gap(schedule) == gap


def test_a_day_counts_by_either_field_only_if_both_are_closed() -> None:
    assert longest_gap("0 0 1,15 * mon") == 7 * DAY
    # Vixie's cron and robfig's: a star with a step above 1 is a closed field.
    assert longest_gap("0 0 */2 * mon") < longest_gap("0 0 */1 * mon") == 7 * DAY


def test_the_year_with_the_longest_gap_is_looked_at() -> None:
    assert longest_gap("* 0,*/2,5-6/2 2,1-16,5 1 0-2/1,MON") == 29293260


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("", "has 0 fields"),
        ("0 0 2 * * *", "has 6 fields"),
        ("0 2 * *", "has 4 fields"),
        ("0 2 * * 7", "'7' is no day of week: 0 to 6"),
        ("60 2 * * *", "'60' is no minute: 0 to 59"),
        ("0 2 L * *", "'L' is no day of month"),
        ("0 5-1 * * *", "ends before it begins"),
        ("*/0 * * * *", "has no step"),
        ("0 0 30 2 *", "never fires"),
        (", * * * *", "never fires"),
        ("@reboot", "is not one of @hourly"),
        ("@every soon", "has no duration"),
        ("@every 0s", "has no duration"),
        ("TZ=Nowhere/City 0 2 * * *", "the time zone 'Nowhere/City' is not known"),
        ("TZ=../../etc/passwd 0 2 * * *", "is not known"),
        ("{{ .Values.cron }}", "fields"),
    ],
)
def test_what_velero_refuses(schedule: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("*", r"\*")):
        longest_gap(schedule)


@given(st.text(alphabet="0123456789*/,-? @everyMONsun=TZh", max_size=30))
def test_any_text_is_a_gap_or_a_value_error(schedule: str) -> None:
    with contextlib.suppress(ValueError):
        assert longest_gap(schedule) > 0
