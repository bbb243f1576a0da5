"""Which transactions one MariaDB server has that another has not. Pure."""

from __future__ import annotations

from collections.abc import Mapping

Origin = tuple[int, int]
"""Replication domain and server id."""

Reached = dict[Origin, int]
"""The last sequence number of each origin."""


def parse(text: str) -> Reached:
    """A GTID list such as `0-1-100,0-2-150`. Raises ValueError."""
    found: Reached = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        domain, server, number = (int(part) for part in item.split("-"))
        found[domain, server] = max(number, found.get((domain, server), 0))
    return found


def only_in(one: Reached, other: Reached, other_start: Reached) -> dict[Origin, tuple[int, int]]:
    """What `one` has and `other` has not: origin -> first and last sequence number.

    Both are `gtid_binlog_state`s. `other_start` is the `gtid_slave_pos` of
    the other: what it had before its own binary log begins. Within a domain
    numbers only grow, so whoever has that transaction has all before it, too.
    """
    found = {}
    for (domain, server), last in one.items():
        known = other.get((domain, server), 0)
        for (base_domain, base_server), base in other_start.items():
            if base_domain == domain and one.get((domain, base_server), 0) >= base:
                known = max(known, base)
        if last > known:
            found[domain, server] = (known + 1, last)
    return found


def told(ranges: Mapping[Origin, tuple[int, int]]) -> str:
    """`0-1-1129..0-1-4025`."""
    return ", ".join(
        f"{domain}-{server}-{first}" + (f"..{domain}-{server}-{last}" if last > first else "")
        for (domain, server), (first, last) in sorted(ranges.items())
    )
