"""Times of a schedule as Velero reads it: five fields, `@daily` and its like, `@every 6h`, `CRON_TZ=` before them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_ZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)")
_EVERY = re.compile(r"@every\s+((?:\d+(?:\.\d+)?[hms])+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)([hms])")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def times(schedule: str, after: datetime) -> Iterator[datetime]:
    """When it is due after a time (with a zone), in order, in UTC; without `CRON_TZ=` its hours are UTC's.

    Raises ValueError, at once, for what is no schedule.
    """
    zone, fields = _zone(schedule.strip())
    if every := _EVERY.fullmatch(fields):
        step = timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(every[1])))
        if step < timedelta(seconds=1):
            raise ValueError(f"{schedule!r} is no schedule: less than a second")
        return _steps(after, step)
    # Velero's library takes ? for *.
    expression = _NAMED.get(fields, fields).replace("?", "*")
    try:
        found = CronSim(expression, after.astimezone(zone))
    except CronSimError as error:
        raise ValueError(f"{schedule!r} is no schedule: {error}; write it like 0 3 * * *") from None
    return (at.astimezone(UTC) for at in found)


def due(schedule: str, after: datetime, until: datetime, most: int = 1000) -> int:
    """How many times it was due after one time and up to another; counted no further than `most`."""
    count = 0
    for at in times(schedule, after):
        if at > until or count == most:
            break
        count += 1
    return count


def _steps(after: datetime, step: timedelta) -> Iterator[datetime]:
    at = after.astimezone(UTC)
    while True:
        at += step
        yield at


def _zone(schedule: str) -> tuple[tzinfo, str]:
    found = _ZONE.fullmatch(schedule)
    if found is None:
        return UTC, schedule
    try:
        return ZoneInfo(found[1]), found[2].strip()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{schedule!r} names an unknown time zone: {found[1]}") from None
