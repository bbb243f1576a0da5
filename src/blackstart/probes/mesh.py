"""What the probes of a mesh share: which regions they ask, and what Istio calls services and regions."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Fleet, Mesh
from blackstart.probes.base import NoData, ProbeSpec, Scope


class MeshSpec(ProbeSpec):
    """A mesh service, by its `host` or as a `service` of the fleet, and the region that it is looked at in.

    `regions` are the roles of those who are asked, none means all; `of` is the
    role of the region that is asked about. A `service` is taken to be called
    like its Deployment: where it is not, write `host`.
    """

    service: str | None = None
    host: str | None = None
    of: str | None = None
    regions: list[str] = []

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if self.service is not None and self.host is not None:
            raise ValueError("needs either `service` or `host`")
        return self


def mesh_of(scope: Scope, region: str) -> Mesh:
    """The mesh of a region. Raises NoData."""
    mesh = scope.fleet.regions[region].mesh
    if mesh is None:
        raise NoData(Reason.MALFORMED, f"region {region!r} has no `mesh` in fleet.yaml")
    return mesh


def host_of(spec: MeshSpec, scope: Scope, region: str) -> str:
    """The host that names the service in the mesh, such as web.shop.svc.cluster.local. Raises NoData."""
    if spec.host is not None:
        return spec.host
    name = scope.resolve(spec.service or "")
    service = scope.fleet.services.get(name)
    if service is None:
        raise NoData(Reason.MALFORMED, f"{name!r} is not a service of fleet {scope.fleet.fleet!r}")
    workload = service.workloads.get(region) or next(iter(service.workloads.values()))
    return f"{workload.deployment}.{workload.namespace}.svc.cluster.local"


def region_of(spec: MeshSpec, scope: Scope) -> str | None:
    """The region that is asked about, if it is one. Raises NoData."""
    return scope.regions([spec.of])[0] if spec.of is not None else None


def localities(fleet: Fleet) -> dict[str, str]:
    """Region of the nodes' labels -> region of the fleet."""
    return {(region.mesh and region.mesh.locality) or name: name for name, region in fleet.regions.items()}


def cluster_id(fleet: Fleet, region: str) -> str:
    """What istiods call the cluster of a region."""
    mesh = fleet.regions[region].mesh
    return (mesh and mesh.cluster) or region


def wrong_answer(what: str, error: Exception) -> NoData:
    """For an answer that is JSON, but not shaped as `what` would."""
    return NoData(Reason.MALFORMED, f"not an answer of {what}: {error!r}")
