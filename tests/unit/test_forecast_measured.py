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

CLIENTS = Clients(rate=20, timeout=3.0, hold=9.0)
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


@pytest.mark.parametrize("measured", [3.8, 4.3, 7.5])
def test_ejected_hosts_return_after_their_time(measured: float) -> None:
    inside(ejection.back(FULL, "us", CLIENTS), measured)


@pytest.mark.parametrize("measured", [0.09, 0.25, 0.15])
def test_endpoints_that_end_are_told(measured: float) -> None:
    inside(kubernetes.PUSH, measured)


def test_readiness_alone() -> None:
    probe = Readiness(period=1.0, timeout=1.0, failures=3)
    inside(kubernetes.not_ready(probe), 3.0, 4.0)
    inside(kubernetes.told_to_mesh(probe), 3.6)


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
    inside(checks.back(edge), back)
