"""When a schedule is due, as Velero reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from blackstart.fleet.cron import due, times


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize(
    ("schedule", "after", "next_ones"),
    [
        ("0 3 * * *", "2026-03-01T03:00:00", ["2026-03-02T03:00:00", "2026-03-03T03:00:00"]),
        ("0 * * * *", "2026-03-01T03:59:59", ["2026-03-01T04:00:00", "2026-03-01T05:00:00"]),
        ("@daily", "2026-03-01T03:00:00", ["2026-03-02T00:00:00", "2026-03-03T00:00:00"]),
        ("@every 6h30m", "2026-03-01T03:00:00", ["2026-03-01T09:30:00", "2026-03-01T16:00:00"]),
        ("0 3 ? * MON", "2026-03-01T03:00:00", ["2026-03-02T03:00:00", "2026-03-09T03:00:00"]),
        # Clocks are put forward on 2026-03-29: three in the morning is an hour earlier from then on.
        ("CRON_TZ=Europe/Berlin 0 3 * * *", "2026-03-28T00:00:00", ["2026-03-28T02:00:00", "2026-03-29T01:00:00"]),
        ("TZ=Asia/Tokyo @daily", "2026-03-01T00:00:00", ["2026-03-01T15:00:00", "2026-03-02T15:00:00"]),
    ],
)
def test_the_next_times(schedule: str, after: str, next_ones: list[str]) -> None:
    found = list(islice(times(schedule, at(after)), 2))
    assert found == [at(text) for text in next_ones]
    assert {time.tzinfo for time in found} == {UTC}


def test_how_often_it_was_due() -> None:
    started = at("2026-03-01T03:00:01")
    assert due("0 3 * * *", started, at("2026-03-02T02:59:59")) == 0
    assert due("0 3 * * *", started, at("2026-03-02T03:00:00")) == 1
    assert due("0 3 * * *", started, at("2026-03-05T12:00:00")) == 4
    assert due("@every 1s", started, at("2027-03-05T12:00:00"), most=50) == 50
    assert due("0 3 * * *", started, at("2026-02-01T00:00:00")) == 0


@pytest.mark.parametrize(
    "schedule", ["", "0 3 * *", "61 * * * *", "@often", "@every 0s", "@every 3", "CRON_TZ=Mars/Base 0 3 * * *"]
)
def test_what_is_no_schedule(schedule: str) -> None:
    with pytest.raises(ValueError, match=r"no schedule|unknown time zone"):
        due(schedule, at("2026-03-01T00:00:00"), at("2026-03-02T00:00:00"))
