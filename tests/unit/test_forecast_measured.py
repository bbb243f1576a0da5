"""The forecast's formulas against what was measured by hand: settings -> times, 20 requests/s, new connections.

Each row is one run, or a few, on Istio multi-primary with three pods in each
of two regions. What was measured lies between the bounds.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from blackstart.plan.forecast import checks, ejection, kubernetes, meshes
from blackstart.plan.forecast.settings import Balancer, Checks, Clients, Gateway, Outliers, Readiness, Retries
from blackstart.schema.forecast import Expected

CLIENTS = Clients(rate=20, timeout=3.0, hold=9.0, window=0.5)
"""With a short window: what was measured by hand is when errors ended, until the end of the fault."""
RETRIES = Retries(3, per_try=0.5, leaves=2)
LOCAL = replace(RETRIES, leaves=None)
NONE = Retries(0)
OWN = Retries(2, timeouts=False)
"""What Istio does where a VirtualService says nothing."""
OUTLIERS = Outliers(errors=3, interval=1.0, base=5.0, percent=100)
FULL = Gateway(
    hosts={"us": 3, "eu": 3}, connect=0.5, timeout=2.0, retries=RETRIES, outliers=OUTLIERS, prioritised=True
)


def tuned(percent: int = 100, retries: Retries = RETRIES, timeout: float | None = 2.0) -> Gateway:
    return replace(FULL, outliers=replace(OUTLIERS, percent=percent), retries=retries, timeout=timeout)


NO_OUTLIERS = replace(FULL, outliers=None, prioritised=False)
NO_RULE = replace(NO_OUTLIERS, connect=1.0, timeout=None, retries=OWN)


def inside(expected: Expected, *measured: float | None) -> None:
    for each in measured:
        assert expected.holds(each), f"{each} is not in {expected}"


@pytest.mark.parametrize("measured", [0.7, 0.8])
def test_the_last_host_of_a_silent_region_is_ejected(measured: float) -> None:
    inside(ejection.ejected(FULL, "us", CLIENTS), measured)
    inside(ejection.ejected(tuned(retries=NONE), "us", CLIENTS), measured)


def test_the_merge_window_keeps_ejected_hosts_in_for_a_second() -> None:
    four = replace(CLIENTS, hold=4.0)
    inside(meshes.recovered(tuned(retries=NONE), "us", four), 1.65)
    inside(meshes.recovered(replace(tuned(retries=NONE), merge=0.0), "us", four), 0.70)


HELD = [
    # gateway, how long clients saw errors in a hold of 9 s (None: to its end)
    (FULL, 0.0),
    (tuned(retries=NONE), 8.25),
    (tuned(retries=LOCAL), 8.25),
    (NO_OUTLIERS, 0.0),
    (replace(NO_OUTLIERS, retries=NONE), None),
    (tuned(percent=10), 0.0),
    (tuned(percent=10, retries=NONE), None),
    (tuned(percent=10, retries=OWN, timeout=None), None),
    (tuned(percent=33, retries=NONE), None),
    (NO_RULE, None),
]


@pytest.mark.parametrize(("gateway", "measured"), HELD)
def test_until_clients_of_black_holed_endpoints_are_served_for_good(gateway: Gateway, measured: float | None) -> None:
    inside(meshes.recovered(gateway, "us", CLIENTS), measured)


@pytest.mark.parametrize(("percent", "found"), [(100, True), (50, True), (33, False), (10, False)])
def test_the_share_that_may_be_ejected_is_of_all_hosts(percent: int, found: bool) -> None:
    assert (ejection.ejected(tuned(percent=percent), "us", CLIENTS).high is not None) is found


@pytest.mark.parametrize("measured", [3.8, 4.3])
def test_ejected_hosts_return_after_their_time(measured: float) -> None:
    inside(ejection.back(FULL, "us", replace(CLIENTS, window=5.0)), measured)


def gateway(errors: int, once: float, retries: Retries = NONE) -> Gateway:
    return replace(FULL, connect=once, retries=retries, outliers=replace(OUTLIERS, errors=errors))


AT_HOME = Retries(2, per_try=0.3)
DRILLS = [
    # gateway, hold, taken out, recovered, failed back; drills at 40 requests/s with a window of 2 s
    (gateway(3, 0.2, Retries(3, per_try=0.2, leaves=2)), 8.0, 1.28, 0.0, 8.87),
    (gateway(3, 0.2, Retries(3, per_try=0.2, leaves=2)), 12.0, 1.35, 0.0, 0.47),
    (gateway(1, 0.5), 8.0, 1.64, None, 4.36),
    (gateway(1, 0.5), 12.0, 1.62, 8.26, 0.08),
    (gateway(5, 1.0), 8.0, 2.13, None, 7.73),
    (gateway(5, 1.0), 12.0, 2.15, 9.70, 2.01),
    (gateway(3, 0.3, AT_HOME), 8.0, 1.43, None, 8.04),
    (gateway(3, 0.3, AT_HOME), 12.0, 1.33, 8.49, 4.83),
]


@pytest.mark.parametrize(("gateway", "hold", "out", "recovered", "back"), DRILLS)
def test_hosts_that_are_tried_again_while_the_fault_lasts(
    gateway: Gateway, hold: float, out: float, recovered: float | None, back: float
) -> None:
    clients = Clients(rate=40, timeout=2.0, window=2.0, hold=hold)
    inside(ejection.taken_out(gateway, "us", clients), out)
    inside(meshes.recovered(gateway, "us", clients), recovered)
    found = ejection.back(gateway, "us", clients)
    inside(found, back)
    assert found.high is not None
    assert found.high <= 11


@pytest.mark.parametrize("measured", [0.09, 0.25, 0.15])
def test_endpoints_that_end_are_told(measured: float) -> None:
    inside(kubernetes.PUSH, measured)


def test_readiness_alone() -> None:
    probe = Readiness(period=1.0, timeout=1.0, failures=3)
    inside(kubernetes.not_ready(probe), 3.0, 4.0)


EDGE = Balancer(Checks(interval=0.5, timeout=0.5, unhealthy=2, healthy=2), NONE, timeout=3.0, regions=("us", "eu"))
TRIES = Retries(1, per_try=1.0, leaves=1, at_once=1000)
EDGES = [
    # balancer, unhealthy after, clients without errors after, region back after
    (EDGE, 1.6, 1.6, 0.6),
    (replace(EDGE, retries=TRIES), 1.8, 0.0, 0.8),
    (replace(EDGE, retries=replace(TRIES, at_once=3)), 1.7, 0.8, 0.7),
    (replace(EDGE, retries=TRIES), 1.7, 0.0, 0.75),
    (replace(EDGE, retries=TRIES), 1.7, 0.0, 0.4),
]


@pytest.mark.parametrize(("edge", "out", "recovered", "back"), EDGES)
def test_a_region_lost_behind_a_balancer(edge: Balancer, out: float, recovered: float, back: float) -> None:
    inside(checks.taken_out(edge, silent=True), out)
    inside(checks.recovered(edge, True, CLIENTS), recovered)
    inside(checks.back(edge, silent=True), back)
