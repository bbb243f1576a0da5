"""A service that takes numbered writes on 127.0.0.1, honest or not, and a ledger that writes to it."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from loopback import Server, http

from blackstart.evidence.written import Writes
from blackstart.fleet.model import Place
from blackstart.ledger.book import LEDGER
from blackstart.ledger.writers import Job
from blackstart.run import ledger, readback, supervisor, watch

RUN = "20260101-000000-abcd"
_KEY = re.compile(r"^Idempotency-Key: (\S+)", re.MULTILINE)


def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run with a ledger wait for tenths of seconds where it has seconds."""
    monkeypatch.setattr(watch, "GRACE", 0.1)
    monkeypatch.setattr(supervisor, "GRACE", 0.1)
    monkeypatch.setattr(readback, "PAUSE", 0.1)
    monkeypatch.setattr(readback, "REST", 0.3)
    for name in ("BASELINE", "FAILOVER", "FAILBACK"):
        monkeypatch.setattr(ledger, name, 2.0)


Behave = Callable[["Shop", str], bytes | None]
"""What the service does with a write: the raw answer, None for none, empty for a closed connection."""


@dataclass
class Shop:
    """`rows` is what it holds, in the order of commit; `seen` every id that came, with the time."""

    behave: Behave
    rows: list[str] = field(default_factory=list)
    seen: list[tuple[str, float]] = field(default_factory=list)
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        self.server = Server(self._answer, close=True)

    def _answer(self, head: str) -> bytes | None:
        found = _KEY.search(head)
        assert found, head
        assert head.startswith("POST /orders "), head
        self.seen.append((found[1], time.monotonic()))
        return self.behave(self, found[1])

    @property
    def url(self) -> str:
        return f"{self.server.url}orders"


def commit(shop: Shop, write: str) -> bytes:
    """Writes, and says so."""
    shop.rows.append(write)
    return http({"committed": True, "region": "us", "pod": "order-1"})


def lie(shop: Shop, write: str) -> bytes:
    """Says so, and does not write."""
    return http({"committed": True, "region": "us", "pod": "order-1"})


def refuse(shop: Shop, write: str) -> bytes:
    return http({"committed": False}, "503 Service Unavailable")


def commit_then(answer: bytes | None) -> Behave:
    """Writes, and then answers like this."""

    def behave(shop: Shop, write: str) -> bytes | None:
        shop.rows.append(write)
        return answer

    return behave


def a_job(folder: Path, url: str, **changes: object) -> Job:
    base: dict[str, object] = {
        "service": "order-service",
        "run": RUN,
        "urls": {"": url},
        "place": Place(),
        "writers": 5,
        "interval": 0.01,
        "timeout": 0.5,
        "path": folder / LEDGER,
    }
    return Job.model_validate({**base, **changes})


def total(told: list[Writes]) -> Counter[str]:
    """Counts over all that was told."""
    counts: Counter[str] = Counter()
    for w in told:
        counts.update(sent=w.sent, ok=w.ok, failed=w.failed, indeterminate=w.indeterminate)
    return counts
