"""Ids of numbered writes: `<run>.<writer>.<number>.<random>`.

At most 50 characters of lower-case letters, digits, `-` and `.`: they can stand in a
LIKE pattern, a Redis key and a header as they are.
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

_ID = re.compile(r"([a-z0-9-]{1,24})\.(\d{3})\.(\d{7})\.([0-9a-f]{12})")
_UNSAFE = re.compile(r"[^a-z0-9-]")
_LONGEST = 24


class Id(NamedTuple):
    """What an id says: of which run, the writer, and its how-manieth write, from 1."""

    run: str
    writer: int
    number: int


def short(run_id: str) -> str:
    """A run's id without the name of its drill: date, time and the random end."""
    parts = _UNSAFE.sub("", run_id.lower()).split("-")
    return "-".join([*parts[:2], parts[-1]] if len(parts) > 3 else parts)[-_LONGEST:]


def make(run: str, writer: int, number: int) -> str:
    """A new id; `run` is a `short` one."""
    return f"{run}.{writer:03d}.{number:07d}.{secrets.token_hex(6)}"


def parse(text: str) -> Id | None:
    """What an id says; None when it is none."""
    found = _ID.fullmatch(text)
    return Id(found[1], int(found[2]), int(found[3])) if found else None


def prefix(run: str) -> str:
    """What all ids of a run begin with; `run` is a `short` one."""
    return f"{run}."
