"""Outlier detection of a mesh gateway: how soon silent hosts are ejected, by Envoy's rules (OutlierDetection)."""

from __future__ import annotations

from itertools import product
from math import inf

from blackstart.plan.forecast.cycles import Chance, Course, course
from blackstart.plan.forecast.settings import Clients, Gateway
from blackstart.plan.forecast.spans import NEVER, later, several, span
from blackstart.schema.forecast import Expected

_PHASES = 10
"""Into so many parts an interval is cut; a sweep may come at the ends of each."""

_PROOF = 0.6
"""Seconds that a fault is in place before the hold, while it is proven to bite."""

_HOSTS = 6
"""More hosts than these behave as these do."""

_ERRORS = (0.0, 0.25, 0.5, 1.0)
"""How late in its bounds the last host is ejected."""


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


def back(gateway: Gateway, region: str, clients: Clients) -> Expected:
    """From the end of the fault until the region's hosts get requests again."""
    found = courses(gateway, region, clients)
    return several([each.back for each in found]) if found else span(0.0, gateway.merge)


def for_good(gateway: Gateway, region: str, clients: Clients) -> Expected:
    """Until no request is sent to the region any more while the fault lasts, and that can be told.

    Ejected hosts are tried again; where that happens too close to the end of
    the fault, no window of the clients is left that shows the recovery.
    """
    latest = clients.hold + _PROOF - clients.window
    found = courses(gateway, region, clients)
    return several([each.gone if each.gone <= latest else inf for each in found]) if found else NEVER


def courses(gateway: Gateway, region: str, clients: Clients) -> list[Course]:
    """What may happen, by when the sweeps come and how fast errors add up; none where no host is ever ejected."""
    out, outliers, hosts = ejected(gateway, region, clients), gateway.outliers, gateway.hosts.get(region, 0)
    if out.low is None or outliers is None:
        return []
    latest = clients.hold if out.high is None else out.high
    hosts = min(hosts, _HOSTS)
    return [
        course(
            outliers,
            takes=[out.low + part * (latest - out.low) * (n + 1) / hosts for n in range(hosts)],
            merge=gateway.merge,
            lasts=clients.hold + _PROOF,
            window=clients.window,
            chance=Chance(phase / _PHASES * outliers.interval, counts, tight),
        )
        for part, phase, counts, tight in product(_ERRORS, range(_PHASES + 1), (True, False), (True, False))
    ]


def _try(gateway: Gateway) -> float:
    """Seconds that one try on a new connection costs at a silent host."""
    return min(limit for limit in (gateway.connect, gateway.retries.per_try, gateway.timeout) if limit is not None)
