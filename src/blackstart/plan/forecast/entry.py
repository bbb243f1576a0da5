"""The way in of a service's clients, out of what was read. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from blackstart.fleet.model import Fleet, Service
from blackstart.plan.forecast import meshfacts
from blackstart.plan.forecast.losses import Loss
from blackstart.plan.forecast.settings import Balancer
from blackstart.plan.forecast.ways import Way
from blackstart.plan.mesh.model import MeshConfig
from blackstart.probes.mesh import localities

Told = tuple[Balancer, list[str]]


@dataclass(frozen=True)
class Read:
    """What was read; a text says why something could not be. `balancer` None: the entry names none.

    connected: region -> whether its gateway has a connection to istiod.
    """

    mesh: MeshConfig | str
    balancer: Told | str | None = None
    connected: Mapping[str, bool | str] = field(default_factory=dict)


def way_in(fleet: Fleet, service: Service, lost: Sequence[Loss], read: Read) -> tuple[Way, list[str]] | str:
    """How clients get in, and what was taken for granted; a text says why that is not known."""
    if service.entry.headers:
        return "its clients send headers: which routes those take is not foretold"
    if isinstance(read.balancer, str):
        return read.balancer
    home, said = _home(fleet, service, lost, read.balancer)
    balancer = read.balancer[0] if read.balancer else None
    in_mesh = fleet.regions[home].mesh is not None and bool(balancer or service.entry.gateway)
    workload = service.workloads.get(home)
    if isinstance(read.mesh, str):
        # A balancer alone tells enough where no mesh is behind it.
        return read.mesh if in_mesh or not balancer else (Way(home, balancer), said)
    if workload is None:
        return f"the service has no workload in {home}, where its clients come in"
    ready = meshfacts.readiness(read.mesh, home, workload)
    if not in_mesh:
        return Way(home, balancer, None, ready), said
    if (connected := read.connected.get(home, True)) is False:
        return (
            f"the gateway of {home} has no connection to istiod: what it goes by is older than what the clusters hold"
        )
    if isinstance(connected, str):
        said = [*said, f"the gateway of {home} goes by what the clusters hold; {connected}"]
    gateway, more = meshfacts.gateway(read.mesh, home, service.workloads)
    if not gateway.hosts.get(home):
        return f"{workload.namespace}/{workload.deployment} has no ready pod in {home}"
    return Way(home, balancer, gateway, ready), [*said, *more]


def _home(fleet: Fleet, service: Service, lost: Sequence[Loss], told: Told | None) -> tuple[str, list[str]]:
    """The region whose entry clients come to first."""
    first = next((loss.region for loss in lost if loss.region), next(iter(fleet.regions)))
    if told:
        balancer, said = told
        if preferred := localities(fleet).get(balancer.regions[0]):
            return preferred, said
        return first, [*said, f"the balancer's first region, {balancer.regions[0]}, is {first} of the fleet"]
    if service.entry.gateway:
        return service.entry.gateway, []
    unsaid = f"clients are served by {first}; fleet.yaml names neither `balancer` nor `gateway` of the entry"
    return first, [unsaid]
