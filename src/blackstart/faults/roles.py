"""Roles of an experiment, as the regions, services and workloads of one fleet."""

from __future__ import annotations

from collections.abc import Collection

from blackstart.faults.base import FaultError
from blackstart.fleet.model import Fleet, Link, Workload
from blackstart.schema.errors import unknown


def region(fleet: Fleet, role: object) -> str:
    """The region that plays a role. Raises FaultError."""
    return _player(fleet, role, "region", fleet.regions)


def service(fleet: Fleet, role: object) -> str:
    """The service that plays a role. Raises FaultError."""
    return _player(fleet, role, "service", fleet.services)


def store(fleet: Fleet, role: object) -> str:
    """The store that plays a role. Raises FaultError."""
    return _player(fleet, role, "store", fleet.stores)


def member(fleet: Fleet, role: object) -> str:
    """The region or place that plays a role: what a link can end at. Raises FaultError."""
    name = fleet.roles.get(str(role), str(role))
    if name not in fleet.regions and name not in fleet.places:
        known = [*fleet.roles, *fleet.regions, *fleet.places]
        raise FaultError(f"fleet {fleet.fleet!r}: {unknown('role, region or place', role, known)}")
    return name


def workload(fleet: Fleet, service_name: str, region_name: str) -> Workload:
    """The Deployment of a service in a region. Raises FaultError."""
    found = fleet.services[service_name].workloads.get(region_name)
    if found is None:
        raise FaultError(
            f"fleet {fleet.fleet!r}: service {service_name!r} has no workload in region {region_name!r}; "
            f"add it under services.{service_name}.workloads"
        )
    return found


def links_between(fleet: Fleet, members: set[str]) -> dict[str, Link]:
    """The links between exactly these members. Raises FaultError when there is none."""
    found = {name: link for name, link in fleet.links.items() if set(link.between) == members}
    if not found:
        raise FaultError(f"fleet {fleet.fleet!r}: no link between {' and '.join(sorted(members))}; see `links`")
    return found


def _player(fleet: Fleet, role: object, what: str, members: Collection[str]) -> str:
    name = fleet.roles.get(str(role), str(role))
    if name not in members:
        raise FaultError(f"fleet {fleet.fleet!r}: {unknown(f'{what} or role', role, fleet.players(members))}")
    return name
