"""What Kubernetes notices by itself, and how soon a mesh hears of it."""

from __future__ import annotations

from blackstart.plan.forecast.settings import Readiness
from blackstart.plan.forecast.spans import span
from blackstart.schema.forecast import Expected

PUSH = span(0.0, 0.5)
"""From an endpoint's end in the API to the proxies: istiod waits 100 ms for more changes (PILOT_DEBOUNCE_AFTER),
sends, and the proxy applies. Measured on the lab: 0.09 to 0.25 s. T0 itself may be later than the endpoint's end."""

NODE_GRACE = span(40.0, 55.0)
"""kube-controller-manager's node-monitor-grace-period: 40 s by default, 50 s since Kubernetes 1.32, and its
node-monitor-period of 5 s."""


def not_ready(probe: Readiness) -> Expected:
    """Until a pod that answers nothing is NotReady.

    The first failing probe begins within a period and ends after its timeout;
    the next one begins a period after it began, or at once if it took longer.
    """
    each = max(probe.period, probe.timeout)
    soonest = probe.timeout + (probe.failures - 1) * each
    return span(soonest, soonest + probe.period)


def lost_alone(probe: Readiness) -> Expected:
    """Until Kubernetes takes pods out that are lost, with a kubelet that lives or with its whole node."""
    soonest, latest = not_ready(probe), NODE_GRACE
    return span(min(soonest.low or 0.0, latest.low or 0.0), max(soonest.high or 0.0, latest.high or 0.0))
