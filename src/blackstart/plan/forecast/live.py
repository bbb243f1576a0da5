"""Reads what a forecast is made of: clusters, balancers, Prometheus. Changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from blackstart.fleet.model import Endpoint, Fleet, Mesh, Service
from blackstart.fleet.places import inside
from blackstart.plan.forecast import meshfacts
from blackstart.plan.forecast.entry import Read, Told, way_in
from blackstart.plan.forecast.envoyfacts import balancer
from blackstart.plan.forecast.expect import expect
from blackstart.plan.forecast.losses import Loss, losses
from blackstart.plan.forecast.settings import Clients
from blackstart.plan.mesh.live import read_fleet
from blackstart.plan.mesh.model import MeshConfig, Said
from blackstart.plan.resolve import Plan
from blackstart.probes import read
from blackstart.probes.admin import ask
from blackstart.probes.base import NoData, Scope
from blackstart.probes.envoyadmin import connected
from blackstart.schema.errors import BlackstartError
from blackstart.schema.forecast import Capacity, Forecast

_DEADLINE = 3.0
"""Seconds for a balancer, and for all Prometheus servers together."""

_STREAMS = 2
"""Clients of each service: one on fresh connections, one on kept ones."""


def forecasts(plan: Plan) -> dict[str, Forecast]:
    """The forecast of every service of a plan. What cannot be read is no forecast, with the reason."""
    mesh, lost = _mesh(plan.fleet), losses(plan)
    linked = {name: _connected(plan.fleet, region.mesh) for name, region in plan.fleet.regions.items() if region.mesh}
    return {
        name: _forecast(plan, name, Read(mesh, connected=linked), lost)
        for name in dict.fromkeys(plan.services.values())
    }


def nothing_read(plan: Plan, reason: str) -> dict[str, Forecast]:
    """No forecast for any service."""
    return {name: Forecast(reason=reason) for name in dict.fromkeys(plan.services.values())}


def _mesh(fleet: Fleet) -> MeshConfig | str:
    try:
        return read_fleet(fleet, Said()).mesh
    except BlackstartError as error:
        return str(error)


def _connected(fleet: Fleet, mesh: Mesh) -> bool | str:
    """Whether a region's gateway still hears istiod; a text says why that is not known."""
    try:
        with inside(fleet.places[mesh.gateway.place]):
            return connected(mesh.gateway, _DEADLINE)
    except (NoData, OSError) as error:
        return f"it cannot be asked: {error}"


def _forecast(plan: Plan, name: str, known: Read, lost: list[Loss]) -> Forecast:
    service, clients = plan.fleet.services[name], _clients(plan)
    mine = [loss for loss in lost if _concerns(loss, service)]
    endpoint = service.entry.balancer
    settings = replace(known, balancer=_balancer(plan.fleet, endpoint) if endpoint else None)
    way = way_in(plan.fleet, service, mine, settings)
    found = Forecast(reason=way) if isinstance(way, str) else expect(mine, way[0], clients, way[1])
    return found.model_copy(update={"capacity": _capacity(plan, service, known.mesh, clients)})


def _clients(plan: Plan) -> Clients:
    client, steady = plan.drill.client, plan.drill.steady
    return Clients(
        rate=_STREAMS / client.interval,
        timeout=client.timeout,
        slow=client.slow,
        success=steady.success,
        window=steady.window,
        hold=plan.drill.phases.hold,
    )


def _concerns(loss: Loss, service: Service) -> bool:
    """Whether what is lost is of a service; what no formula is about may be."""
    workload = service.workloads.get(loss.region)
    named = workload is not None and (workload.namespace, workload.deployment) in loss.deployments
    return not loss.deployments or named


def _balancer(fleet: Fleet, endpoint: Endpoint) -> Told | str:
    try:
        with inside(fleet.places[endpoint.place]):
            (page,) = ask(endpoint, ["/config_dump"], _DEADLINE)
        return balancer(page.document())
    except (NoData, OSError) as error:
        return f"the balancer's configuration at {endpoint.url} cannot be read from {endpoint.place}: {error}"


def _capacity(plan: Plan, service: Service, mesh: MeshConfig | str, clients: Clients) -> Capacity:
    ready: dict[str, int] | None = None
    if isinstance(mesh, MeshConfig):
        there = {r: w for r, w in service.workloads.items() if r in plan.survivors}
        ready = {region: meshfacts.pods(mesh, region, workload) or 0 for region, workload in there.items()}
    others = None if isinstance(mesh, str) else _counted(plan, service)
    return Capacity(clients=clients.rate, others=others, ready=ready, per_pod=service.pod_capacity)


def _counted(plan: Plan, service: Service) -> float | None:
    """Requests per second of the mesh's clients, over all regions; None unless every region's Prometheus tells."""
    # Its client takes half a second to load.
    from blackstart.probes.promql import Spec

    fleet = plan.fleet
    regions = [name for name in service.workloads if fleet.regions[name].prometheus]
    if len(regions) < len(service.workloads):
        return None
    workload = next(iter(service.workloads.values()))
    host = f"{workload.deployment}.{workload.namespace}.svc.cluster.local"
    series = f'istio_requests_total{{reporter="source",destination_service="{host}"}}'
    spec = Spec(
        probe="forecast",
        kind="promql",
        query=f"sum(rate({series}[1m]))",
        fresh=series,
        regions=regions,
        deadline=_DEADLINE,
    )
    scope = Scope(fleet=fleet, victims=plan.victims, survivors=plan.survivors, services=plan.services)
    values = [reading.value for reading in asyncio.run(read(spec, scope))]
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(regions) else None
