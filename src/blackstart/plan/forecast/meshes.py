"""What a mesh gateway does about the silent loss of one region's hosts."""

from __future__ import annotations

from dataclasses import replace

from blackstart.plan.forecast import ejection
from blackstart.plan.forecast.retries import hides
from blackstart.plan.forecast.settings import Clients, Gateway
from blackstart.plan.forecast.spans import AT_ONCE, NEVER, span
from blackstart.schema.forecast import Expected


def hidden(gateway: Gateway, region: str, clients: Clients) -> bool | None:
    """Whether retries hide it from clients; None: some of it.

    Without priorities a first try meets any region's hosts, and retries avoid
    the hosts of before: as many as were lost are surely enough.
    """
    lost = gateway.hosts.get(region, 0)
    if gateway.prioritised:
        return hides(gateway.retries, gateway.timeout, clients, silent=True)
    if hides(replace(gateway.retries, leaves=lost), gateway.timeout, clients, silent=True):
        return True
    return None if gateway.retries.count else False


def recovered(gateway: Gateway, region: str, clients: Clients) -> Expected:
    """Until clients are served for good."""
    how = hidden(gateway, region, clients)
    if how:
        return AT_ONCE
    if how is None:
        return span(0.0, None)
    out = ejection.taken_out(gateway, region, clients)
    if out.low is None:
        return NEVER
    if out.high is not None and out.high <= (1 - clients.success) * clients.window:
        return span(0.0, out.high)
    found = ejection.for_good(gateway, region, clients)
    if found.low is None:
        return NEVER
    # The last tries of a request that began earlier already meet the survivors.
    return span(found.low - gateway.retries.count * (gateway.retries.per_try or gateway.connect), found.high)
