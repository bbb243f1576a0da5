"""Active health checks and retries of a global balancer, by Envoy's rules (HttpHealthChecker, Router)."""

from __future__ import annotations

from blackstart.plan.forecast.retries import hides
from blackstart.plan.forecast.settings import Balancer, Clients
from blackstart.plan.forecast.spans import AT_ONCE, NEVER, span
from blackstart.schema.forecast import Expected


def taken_out(balancer: Balancer, silent: bool) -> Expected:
    """Until a region that answers nothing, or refuses (`silent` False), is out of the routing.

    A check is due an interval after the one before has ended, so the first
    that fails begins within one interval of T0, and `unhealthy` of them end
    it. A silent one costs its timeout, a refused one nothing.
    """
    checks = balancer.checks
    if checks is None:
        return NEVER
    each = checks.timeout if silent else 0.0
    soonest = each + (checks.unhealthy - 1) * (checks.interval + each)
    return span(soonest, soonest + checks.interval)


def recovered(balancer: Balancer, silent: bool, clients: Clients) -> Expected:
    """Until clients are served for good: at once where retries reach another region in time."""
    hidden = hides(balancer.retries, balancer.timeout, clients, silent)
    out = taken_out(balancer, silent)
    if hidden:
        return AT_ONCE
    return span(0.0, out.high) if hidden is None else out


def unhindered(balancer: Balancer, silent: bool, clients: Clients) -> Expected:
    """Until clients are sent to another region without a detour: a refused try costs next to nothing."""
    out = taken_out(balancer, silent)
    if not silent and hides(balancer.retries, balancer.timeout, clients, silent):
        return span(0.0, out.high)
    return out


def back(balancer: Balancer, silent: bool) -> Expected:
    """From a region's return until clients are sent to it again: `healthy` good checks, after a silent one's end."""
    checks = balancer.checks
    if checks is None:
        return AT_ONCE
    return span(0.0, (checks.timeout if silent else 0.0) + checks.healthy * checks.interval)
