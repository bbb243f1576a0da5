"""What a forecast is made of: settings, as plain numbers. Times are seconds, rates are per second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MERGE = 1.0
"""Envoy's `common_lb_config.update_merge_window`, its default: the first change of a host's health counts at once,
those that follow are put together for so long."""


@dataclass(frozen=True)
class Clients:
    """The open-loop clients of one service: how often all together ask, and what they put up with."""

    rate: float
    timeout: float = 1.0
    slow: float | None = None
    success: float = 0.99
    window: float = 5.0
    hold: float = 30.0

    @property
    def patience(self) -> float:
        """How long an answer may take and still be good."""
        return self.timeout if self.slow is None else min(self.timeout, self.slow)


@dataclass(frozen=True)
class Retries:
    """How a proxy tries again.

    per_try: None is as long as the whole request may take. leaves: how many
    tries stay in the region of the first; None where all do. timeouts: whether
    a try that timed out is repeated at all. at_once: retries that may be under
    way at the same time, None for no limit.
    """

    count: int = 0
    per_try: float | None = None
    leaves: int | None = None
    timeouts: bool = True
    at_once: int | None = None


@dataclass(frozen=True)
class Outliers:
    """When a proxy ejects a host, and for how long. `errors` None: nothing is counted."""

    errors: int | None = 5
    interval: float = 10.0
    base: float = 30.0
    percent: int = 10


@dataclass(frozen=True)
class Gateway:
    """What a mesh gateway goes by for one service.

    hosts: ready hosts by region. prioritised: it prefers its own region.
    timeout: of the whole request, None for none.
    """

    hosts: Mapping[str, int]
    connect: float = 10.0
    timeout: float | None = None
    retries: Retries = Retries()
    outliers: Outliers | None = None
    prioritised: bool = False
    merge: float = MERGE


@dataclass(frozen=True)
class Checks:
    """Active health checks of a balancer."""

    interval: float
    timeout: float
    unhealthy: int
    healthy: int


@dataclass(frozen=True)
class Balancer:
    """What a global balancer goes by. regions: names as it knows them, the preferred first."""

    checks: Checks | None
    retries: Retries = Retries()
    timeout: float | None = None
    regions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Readiness:
    """A pod's readinessProbe."""

    period: float = 10.0
    timeout: float = 1.0
    failures: int = 3
