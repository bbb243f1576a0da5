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
    out = ejection.taken_out(gateway, region, clients)
    if how is None:
        return span(0.0, None)
    if out.low is None:
        return NEVER
    # The last tries of a request that began earlier already meet the survivors.
    saved = gateway.retries.count * (gateway.retries.per_try or gateway.connect)
    return _for_good(gateway, region, clients, span(out.low - saved, out.high))


def _for_good(gateway: Gateway, region: str, clients: Clients, out: Expected) -> Expected:
    """The same when ejected hosts come back before the fault ends: each time they cost requests."""
    if gateway.outliers is None or out.low is None or out.high is None:
        return out
    again = ejection.returns(gateway.outliers, ejection.ejected(gateway, region, clients), clients.hold)
    if again.low is None or out.high <= (1 - clients.success) * clients.window:
        return out
    surely = again.high is not None and not gateway.retries.count
    return span(again.low if surely else out.low, None)
