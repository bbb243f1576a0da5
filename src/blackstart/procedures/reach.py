"""Whether a server is there at all."""

from __future__ import annotations

from collections.abc import Callable

from blackstart.fleet.redisdb import RedisError
from blackstart.fleet.sql import SqlError

REACH = 2.0
"""Seconds after which one that says nothing counts as not there."""


def answers(ask: Callable[[], object]) -> bool:
    """Whether a server can be reached and asked. A refused login is an error, not silence: raises what `ask` does."""
    try:
        ask()
    except (SqlError, RedisError) as error:
        if error.kind in ("refused", "timeout"):
            return False
        raise
    return True
