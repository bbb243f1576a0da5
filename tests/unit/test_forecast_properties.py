"""What must hold of every forecast, whatever the settings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackstart.plan.forecast import checks, ejection, kubernetes, meshes
from blackstart.plan.forecast.expect import expect
from blackstart.plan.forecast.losses import How, Loss
from blackstart.plan.forecast.settings import Balancer, Checks, Clients, Gateway, Outliers, Readiness, Retries
from blackstart.plan.forecast.spans import AT_ONCE, NEVER, last, later, span
from blackstart.plan.forecast.ways import Way
from blackstart.schema.forecast import Capacity, Expected

seconds = st.floats(0.05, 20.0)
few = st.integers(1, 10)
retries = st.builds(
    Retries,
    count=st.integers(0, 5),
    per_try=st.none() | seconds,
    leaves=st.none() | few,
    timeouts=st.booleans(),
    at_once=st.none() | few,
)
gateways = st.builds(
    Gateway,
    hosts=st.fixed_dictionaries({"us": few, "eu": few}),
    connect=seconds,
    timeout=st.none() | seconds,
    retries=retries,
    outliers=st.builds(Outliers, errors=few, interval=seconds, base=seconds, percent=st.just(100)),
    prioritised=st.booleans(),
)
clients = st.builds(Clients, rate=st.floats(1, 200), timeout=st.just(1000.0), slow=st.none() | seconds, hold=seconds)
balancers = st.builds(
    Balancer,
    checks=st.none() | st.builds(Checks, interval=seconds, timeout=seconds, unhealthy=few, healthy=few),
    retries=retries,
    timeout=st.none() | seconds,
    regions=st.just(("us", "eu")),
)


def not_sooner(first: Expected, second: Expected) -> None:
    assert first.low is not None
    assert second.low is not None
    assert second.low >= first.low
    assert second.high is None or (first.high is not None and second.high >= first.high)


@given(gateways, clients)
def test_more_errors_needed_are_not_sooner(gateway: Gateway, clients: Clients) -> None:
    assert gateway.outliers is not None
    more = replace(gateway, outliers=replace(gateway.outliers, errors=(gateway.outliers.errors or 0) + 1))
    not_sooner(ejection.ejected(gateway, "us", clients), ejection.ejected(more, "us", clients))
    not_sooner(ejection.taken_out(gateway, "us", clients), ejection.taken_out(more, "us", clients))


@given(gateways, clients)
def test_a_longer_connect_timeout_is_not_sooner(gateway: Gateway, clients: Clients) -> None:
    slower = replace(gateway, connect=gateway.connect + 1)
    not_sooner(ejection.ejected(gateway, "us", clients), ejection.ejected(slower, "us", clients))


@given(gateways, clients)
def test_clients_are_never_worse_off_for_retries_that_leave_the_region(gateway: Gateway, clients: Clients) -> None:
    hidden = meshes.recovered(gateway, "us", clients)
    without = meshes.recovered(replace(gateway, retries=Retries(0)), "us", clients)
    assert hidden.low is None or (hidden.low <= (without.low if without.low is not None else hidden.low))


@given(balancers, clients, st.booleans())
def test_more_failing_checks_are_not_sooner(balancer: Balancer, clients: Clients, silent: bool) -> None:
    if balancer.checks is None:
        assert checks.taken_out(balancer, silent) == NEVER
        return
    more = replace(balancer, checks=replace(balancer.checks, unhealthy=balancer.checks.unhealthy + 1))
    not_sooner(checks.taken_out(balancer, silent), checks.taken_out(more, silent))


@given(st.builds(Readiness, period=seconds, timeout=seconds, failures=few))
def test_readiness_that_waits_longer_is_not_sooner(probe: Readiness) -> None:
    not_sooner(kubernetes.not_ready(probe), kubernetes.not_ready(replace(probe, failures=probe.failures + 1)))


ways = st.builds(
    Way,
    home=st.sampled_from(["us", "eu"]),
    balancer=st.none() | balancers,
    gateway=st.none() | gateways,
    readiness=st.none() | st.just(Readiness()),
)


@given(st.lists(st.builds(Loss, st.just("kill"), st.sampled_from(How), st.just("us")), max_size=3), ways, clients)
def test_either_a_reason_or_numbers_in_order(losses: list[Loss], way: Way, clients: Clients) -> None:
    found = expect(losses, way, clients)
    assert bool(found.reason) != bool(found.expected())
    for each in found.expected().values():
        assert each.low is None or each.high is None or 0 <= each.low <= each.high
        assert each.low is not None or each.high is None
    assert found.reason or found.assumptions


@given(st.lists(st.floats(0, 9), min_size=1))
def test_the_last_of_several(times: list[float]) -> None:
    spans = [span(time, time + 1) for time in times]
    assert last(spans).low == round(max(times), 3)
    assert last([*spans, NEVER]) == NEVER
    assert last([AT_ONCE, AT_ONCE]) == AT_ONCE
    assert later(span(1, None), span(1, 2)) == span(2, None)


@pytest.mark.parametrize(
    ("expected", "measured", "fits"),
    [
        (span(1, 2), 1.5, True),
        (span(1, 2), 2.5, False),
        (span(1, 2), None, False),
        (span(1, None), 99.0, True),
        (span(1, None), None, True),
        (NEVER, None, True),
        (NEVER, 1.0, False),
        (AT_ONCE, 0.04, True),
    ],
)
def test_whether_a_forecast_came_true(expected: Expected, measured: float | None, fits: bool) -> None:
    assert expected.holds(measured, within=0.05) is fits


@pytest.mark.parametrize(
    ("capacity", "enough"),
    [
        (Capacity(clients=40, others=60, ready={"eu": 3}, per_pod=50), True),
        (Capacity(clients=40, others=140, ready={"eu": 3}, per_pod=50), False),
        (Capacity(clients=40, others=0, ready={"eu": 0}), False),
        (Capacity(clients=40, others=None, ready={"eu": 3}, per_pod=50), None),
        (Capacity(clients=40, others=60, ready={"eu": 3}), None),
        (Capacity(clients=40, others=60, ready=None, per_pod=50), None),
    ],
)
def test_what_is_not_known_of_capacity_is_never_enough(capacity: Capacity, enough: bool | None) -> None:
    assert capacity.enough is enough
