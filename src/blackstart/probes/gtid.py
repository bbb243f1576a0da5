"""Positions in replication as both dialects write them, and how many transactions one lacks of another. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol, Self

_RUN = r"\s*\d+(-\d+)?\s*"
_SET = re.compile(rf"[0-9a-f-]{{36}}\s*((:\s*[a-z_]\w{{0,31}}\s*)?(:{_RUN})+)+")


class Gtids(Protocol):
    """What a server has."""

    def lacks(self, source: Self) -> int:
        """How many transactions of `source` are missing. Raises ValueError when the two have parted."""

    def plus(self, other: Self) -> Self:
        """What either has."""


@dataclass(frozen=True)
class MariaDbPosition:
    """`0-1-1128,1-2-7`: the last transaction in each domain, as server and number."""

    domains: dict[int, tuple[int, int]]

    @classmethod
    def parse(cls, text: str) -> MariaDbPosition:
        """Raises ValueError."""
        domains: dict[int, tuple[int, int]] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            domain, server, number = map(int, part.split("-"))
            domains[domain] = max(domains.get(domain, (0, -1)), (server, number), key=lambda one: one[1])
        return cls(domains)

    def lacks(self, source: MariaDbPosition) -> int:
        """Numbers count the transactions of a domain, whoever wrote them."""
        missing = 0
        for domain, (server, number) in source.domains.items():
            my_server, mine = self.domains.get(domain, (server, 0))
            # A later number of the same server is what it wrote since it was asked.
            if mine >= number and my_server != server:
                raise ValueError(
                    f"the two have parted: {domain}-{my_server}-{mine} here, {domain}-{server}-{number} at the source"
                )
            missing += max(0, number - mine)
        return missing

    def plus(self, other: MariaDbPosition) -> MariaDbPosition:
        """The later one in each domain."""
        domains = dict(self.domains)
        for domain, last in other.domains.items():
            domains[domain] = max(domains.get(domain, (0, -1)), last, key=lambda one: one[1])
        return MariaDbPosition(domains)


@dataclass(frozen=True)
class MySqlSet:
    """`uuid:1-5:7,uuid:tag:1-3`: every transaction, as runs of numbers (first, last) for each source and tag."""

    runs: dict[str, tuple[tuple[int, int], ...]]

    @classmethod
    def parse(cls, text: str) -> MySqlSet:
        """Raises ValueError."""
        runs: dict[str, list[tuple[int, int]]] = {}
        for part in filter(None, (part.strip().lower() for part in text.split(","))):
            if not _SET.fullmatch(part):
                raise ValueError(f"{part!r} is no set of transactions")
            key, *rest = (piece.strip() for piece in part.split(":"))
            uuid = key
            for piece in rest:
                if piece[0].isdigit():
                    first, _, last = piece.partition("-")
                    runs.setdefault(key, []).append((int(first), int(last or first)))
                else:
                    # What follows a tag is of that tag, until the next one.
                    key = f"{uuid}:{piece}"
        return cls({key: _joined(found) for key, found in runs.items()})

    def lacks(self, source: MySqlSet) -> int:
        """As GTID_SUBTRACT counts; what only this server has says nothing of what it lacks."""
        return sum(_count(runs) - _common(runs, self.runs.get(key, ())) for key, runs in source.runs.items())

    def plus(self, other: MySqlSet) -> MySqlSet:
        """The union."""
        keys = {*self.runs, *other.runs}
        return MySqlSet({key: _joined([*self.runs.get(key, ()), *other.runs.get(key, ())]) for key in keys})


def _joined(runs: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(runs):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def _count(runs: tuple[tuple[int, int], ...]) -> int:
    return sum(last - first + 1 for first, last in runs)


def _common(some: tuple[tuple[int, int], ...], others: tuple[tuple[int, int], ...]) -> int:
    return sum(max(0, min(a[1], b[1]) - max(a[0], b[0]) + 1) for a in some for b in others)
