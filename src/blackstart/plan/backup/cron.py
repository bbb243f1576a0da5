"""How far apart a schedule fires at worst, read as Velero reads it (robfig/cron v3). Pure.

Other readers of cron take what Velero refuses (`7` for Sunday, `L`) and refuse
what it takes (`@every 6h`, `?`, CRON_TZ=).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from blackstart.plan.values import seconds

TICK = 60.0
"""Velero looks once a minute which schedules are due, and as often what other clusters have put into the bucket."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_NAMED = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0"} | {
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = {
    name: i
    for i, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_WEEKDAYS = {name: i for i, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _WEEKDAYS),
)
_FIRST, _LAST = date(2024, 1, 1), date(2053, 1, 31)
"""Every weekday for each date of the year, leap days too: calendars repeat after 28 years."""


@lru_cache(maxsize=256)
def longest_gap(schedule: str) -> float:
    """Seconds between one firing and the next at worst; a zone with summer time adds an hour.

    Raises ValueError where Velero would refuse the schedule, or it never fires.
    """
    text, extra = _zone(schedule)
    if text.startswith("@every "):
        every = seconds(text.removeprefix("@every ").strip())
        if not every:
            raise ValueError(f"{text!r} has no duration such as 6h or 1h30m")
        return max(1.0, every)
    if text.startswith("@") and text not in _NAMED:
        raise ValueError(f"{text!r} is not one of {', '.join([*_NAMED, '@every 6h'])}")
    return _longest(_NAMED.get(text, text)) + extra


def _zone(schedule: str) -> tuple[str, int]:
    """The schedule without its time zone, and what a change of the clock adds."""
    text = schedule.strip()
    if not (found := re.match(r"(?:CRON_)?TZ=(\S+)\s+(.*)", text)):
        return text, 0
    try:
        ZoneInfo(found[1])
    except (KeyError, ValueError, OSError):
        raise ValueError(f"the time zone {found[1]!r} is not known") from None
    return found[2], 0 if found[1] in ("UTC", "Etc/UTC") else _HOUR


def _longest(text: str) -> float:
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{text!r} has {len(fields)} fields; Velero takes minute, hour, day, month, weekday")
    minutes, hours, days, months, weekdays = (_field(*pair) for pair in zip(fields, _FIELDS, strict=True))
    at = sorted(hour * _HOUR + minute * _MINUTE for hour in hours for minute in minutes)
    # As in Vixie's cron: a day counts by both fields if one of them is open, else by either.
    both = any(re.search(r"(^|,)[*?](-\w+)?(/[01])?(,|$)", field) for field in (fields[2], fields[4]))
    fires: list[int] = []
    for n in range((_LAST - _FIRST).days + 1):
        day = _FIRST + timedelta(days=n)
        by = (day.day in days, day.isoweekday() % 7 in weekdays)
        if day.month in months and (all(by) if both else any(by)):
            fires.append(n * _DAY)
    if len(fires) < 2 or not at:
        raise ValueError(f"{text!r} never fires")
    within = (later - earlier for earlier, later in pairwise(at))
    across = (later - earlier + at[0] - at[-1] for earlier, later in pairwise(fires))
    return float(max([*within, *across]))


def _field(text: str, bounds: tuple[str, int, int, dict[str, int]]) -> set[int]:
    return {value for part in text.split(",") if part for value in _range(part, *bounds)}


def _range(text: str, name: str, low: int, high: int, names: dict[str, int]) -> Iterator[int]:
    found = re.fullmatch(r"([*?]|\w+)(?:-(\w+))?(?:/(\d+))?", text)
    if not found:
        raise ValueError(f"{text!r} is no {name}")
    first, last, step = found.groups()

    def number(word: str) -> int:
        value = names.get(word.lower(), int(word) if word.isdecimal() else -1)
        if not low <= value <= high:
            raise ValueError(f"{word!r} is no {name}: {low} to {high}")
        return value

    start, end = (low, high) if first in "*?" else (number(first), number(last or first))
    if step and not last:
        end = high
    if start > end or step == "0":
        raise ValueError(f"{text!r} is no {name}: it ends before it begins, or has no step")
    yield from range(start, end + 1, int(step or 1))
