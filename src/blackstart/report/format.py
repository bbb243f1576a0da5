"""Numbers and times as people read them. A dash stands for what is not known."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from math import floor

DASH = "\N{EN DASH}"

DURATIONS = ("rto", "failback", "rpo", "convergence", "honest", "backup-rpo", "restore-rto")
"""Kinds of objectives that are measured in seconds."""
SHARES = ("availability", "completeness", "restored")
"""Kinds that are measured as a ratio."""


def seconds(value: float | None) -> str:
    """`0.05 s`, `1.20 s`, `21.0 s`, `4 min 12 s`."""
    if value is None:
        return DASH
    if value < 0.0005:
        return "0 s"
    if value < 10:
        return f"{value:.2f} s" if value >= 0.01 else f"{value * 1000:.1f} ms"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def percent(share: float | None) -> str:
    """`96.47 %`; never rounded up, so that 100 % means all."""
    if share is None:
        return DASH
    value = floor(share * 10_000 + 1e-7) / 100
    return f"{value:g} %" if value in (0, 100) else f"{value:.2f} %"


def plain(value: float | None) -> str:
    """A number without needless digits."""
    return DASH if value is None else f"{value:.6g}"


def measure(kind: str, value: float | None) -> str:
    """A value in the unit of an objective's kind."""
    if kind in DURATIONS:
        return seconds(value)
    return percent(value) if kind in SHARES else plain(value)


def span(kind: str, low: float | None, high: float | None) -> str:
    """An interval: `1.13 to 1.20 s`, `over 20.9 s`; empty when it is a point."""
    if low is None or (high is not None and measure(kind, low) == measure(kind, high)):
        return ""
    if high is None:
        return f"over {measure(kind, low)}" if low else ""
    first = measure(kind, low)
    last = measure(kind, high)
    if first.split()[-1] == last.split()[-1] and first.count(" ") == 1:
        first = first.split()[0]
    return f"{first} to {last}"


def utc(at: str) -> str:
    """`2026-11-03 09:30:00 UTC`; text that is no time stays as it is."""
    moment = _parse(at)
    return at if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def local(at: str, zone: tzinfo) -> str:
    """`2026-11-03 10:30:00 CET`; empty where that is UTC."""
    moment = _parse(at)
    if moment is None:
        return ""
    there = moment.astimezone(zone)
    return "" if not there.utcoffset() else f"{there:%Y-%m-%d %H:%M:%S %Z}"


def clock(at: str) -> str:
    """`09:30:12.345`, UTC."""
    moment = _parse(at)
    return at if moment is None else f"{moment.astimezone(UTC):%H:%M:%S}.{moment.microsecond // 1000:03d}"


def _parse(at: str) -> datetime | None:
    try:
        return datetime.fromisoformat(at)
    except ValueError:
        return None
