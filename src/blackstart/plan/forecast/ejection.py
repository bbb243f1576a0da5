"""Outlier detection of a mesh gateway: how soon silent hosts are ejected, by Envoy's rules (OutlierDetection)."""

from __future__ import annotations

from blackstart.plan.forecast.settings import Clients, Gateway, Outliers
from blackstart.plan.forecast.spans import NEVER, later, span
from blackstart.schema.forecast import Expected

_LONGEST = 300.0
"""Envoy's max_ejection_time, its default."""
_CYCLES = 1000


def ejected(gateway: Gateway, region: str, clients: Clients) -> Expected:
    """Until the last host of a silent region is ejected.

    Consecutive errors x max(connect or try timeout, 1/rate per host) for a
    client that waits for each answer. Open-loop clients do not wait: their
    requests time out side by side, so the errors are complete one timeout after
    the last of them was sent; and a connect that times out fails every request
    that waits for it, which can make one timeout enough. Until then one more
    request per host hangs on a connection that was open before. Retries inside
    the region make errors come faster.
    """
    outliers, hosts = gateway.outliers, gateway.hosts.get(region, 0)
    if outliers is None or outliers.errors is None or not hosts or not ejectable(gateway, region):
        return NEVER
    gap = hosts / clients.rate
    once = _try(gateway)
    sooner = gap / (1 + gateway.retries.count)
    soonest = max(once, (outliers.errors - 1) * sooner)
    # A request that its client breaks off before the proxy gives up counts as no error.
    patient = once < clients.timeout
    return span(soonest, once + (outliers.errors + 1) * gap if patient else None)


def ejectable(gateway: Gateway, region: str) -> bool:
    """Whether maxEjectionPercent, of the hosts of all regions together, lets every host of one go."""
    percent = gateway.outliers.percent if gateway.outliers else 0
    return gateway.hosts.get(region, 0) * 100 <= percent * sum(gateway.hosts.values())


def taken_out(gateway: Gateway, region: str, clients: Clients) -> Expected:
    """Until no request is sent to the region: the merge window keeps all but the first ejection waiting."""
    waits = gateway.merge if gateway.hosts.get(region, 0) > 1 else 0.0
    return later(ejected(gateway, region, clients), span(waits, gateway.merge))


def returns(outliers: Outliers, out: Expected, hold: float) -> Expected:
    """Until ejected hosts are first tried again: after baseEjectionTime, at the next sweep; NEVER: not in `hold`."""
    again = later(out, span(outliers.base, outliers.base + outliers.interval))
    if again.low is None or again.low >= hold:
        return NEVER
    return again if again.high is not None and again.high < hold else span(again.low, None)


def back(gateway: Gateway, region: str, clients: Clients) -> Expected:
    """From the end of the fault until the region's hosts get requests again.

    They return baseEjectionTime x n after their n-th ejection, at a sweep; how
    much of that is over already is chance. Then the merge window. n grows while
    the fault lasts, but may fall again between two ejections.
    """
    found, outliers = ejected(gateway, region, clients), gateway.outliers
    if found.low is None or outliers is None:
        return span(0.0, gateway.merge)
    left = outliers.base + outliers.interval
    each = clients.hold if found.high is None else found.high
    soonest, latest, n = found.low, each, 1
    while soonest < clients.hold and n < _CYCLES:
        out = min(outliers.base * n, max(_LONGEST, outliers.base))
        left = max(left, min(latest, clients.hold) + out + outliers.interval - clients.hold)
        soonest, latest, n = soonest + out, latest + out + outliers.interval + each, n + 1
    return span(0.0, left + gateway.merge)


def _try(gateway: Gateway) -> float:
    """Seconds that one try on a new connection costs at a silent host."""
    return min(limit for limit in (gateway.connect, gateway.retries.per_try, gateway.timeout) if limit is not None)
