"""What faults of the mesh ask of fleet.yaml, with what to write there when it is missing."""

from __future__ import annotations

from blackstart.faults.base import FaultError
from blackstart.fleet.model import ControlPath, Fleet, Mesh, MeshPart, Power


def mesh_of(fleet: Fleet, region: str) -> Mesh:
    """The mesh of a region. Raises FaultError."""
    found = fleet.regions[region].mesh
    if found is None:
        raise FaultError(
            f"fleet {fleet.fleet!r}: region {region!r} has no `mesh`; the lab has one with `blackstart lab up "
            f"--mesh`, elsewhere describe it at regions.{region}.mesh"
        )
    return found


def part_of(fleet: Fleet, region: str, name: str) -> MeshPart:
    """`istiod` or `gateway` of a region. Raises FaultError."""
    found: MeshPart = getattr(mesh_of(fleet, region), name)
    return found


def power_of(fleet: Fleet, region: str, name: str) -> Power:
    """How a part of a region's mesh is killed and brought back. Raises FaultError."""
    found = part_of(fleet, region, name).power
    if found is None:
        raise FaultError(
            f"fleet {fleet.fleet!r}: regions.{region}.mesh.{name} has no `power`; say how to kill it, or, where it "
            "is a Deployment, use scale or delete_pods on that"
        )
    return found


def ready_path(fleet: Fleet, region: str, name: str) -> ControlPath:
    """The own address of a part, which answers as long as it lives. Raises FaultError."""
    part = part_of(fleet, region, name)
    scheme, _, address = part.url.rstrip("/").partition("://")
    if scheme != "http" or "/" in address:
        raise FaultError(
            f"regions.{region}.mesh.{name}.url: a control path needs http://ADDRESS:PORT, not {part.url}"
        )
    return ControlPath(place=part.place, address=address, get="/ready")
