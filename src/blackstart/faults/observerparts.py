"""What faults of a region's observers ask of fleet.yaml, with what to write there when it is missing."""

from __future__ import annotations

from typing import Literal, get_args
from urllib.parse import urlsplit

from blackstart.faults import roles
from blackstart.faults.base import FaultError
from blackstart.fleet.metrics import Prometheus, Sidecar
from blackstart.fleet.model import ControlPath, Fleet, Power
from blackstart.schema.base import Model
from blackstart.schema.errors import unknown

Name = Literal["prometheus", "sidecar"]


class Where(Model):
    """A region's Prometheus, or its Thanos sidecar."""

    region: str
    part: Name

    def __str__(self) -> str:
        return f"{self.region}/{self.part}"


def where(fleet: Fleet, args: dict[str, object]) -> Where:
    """The observer that `region`, by role, and `part` name. Raises FaultError."""
    names = get_args(Name)
    if args["part"] not in names:
        raise FaultError(unknown("part", args["part"], names))
    return Where.model_validate({"region": roles.region(fleet, args["region"]), "part": args["part"]})


def sidecar_of(fleet: Fleet, region: str) -> Sidecar:
    """The Thanos sidecar of a region. Raises FaultError."""
    found = fleet.regions[region].sidecar
    if found is None:
        raise FaultError(
            f"fleet {fleet.fleet!r}: region {region!r} has no `sidecar`; the lab has one with `blackstart lab up "
            f"--global-metrics`, elsewhere describe it at regions.{region}.sidecar"
        )
    return found


def power_of(fleet: Fleet, at: Where, needs: Literal["kill", "freeze"]) -> Power:
    """How an observer is taken away and brought back. Raises FaultError."""
    found = _part(fleet, at).power
    if found is None or getattr(found, needs) is None:
        raise FaultError(
            f"fleet {fleet.fleet!r}: regions.{at.region}.{at.part} has no `power` with `{needs}`; say how to do it, "
            "or, where it runs in Kubernetes, use scale or delete_pods on its Deployment"
        )
    return found


def own_path(fleet: Fleet, at: Where) -> ControlPath:
    """The observer's own address, which answers as long as it lives. Raises FaultError."""
    part = _part(fleet, at)
    url = urlsplit(part.url.rstrip("/"))
    if url.scheme != "http" or url.hostname is None:
        raise FaultError(f"regions.{at.region}.{at.part}.url: a control path needs plain http, not {part.url}")
    address = f"{url.hostname}:{url.port or 80}"
    return ControlPath(place=part.place, address=address, get=f"{url.path}/-/healthy")


def _part(fleet: Fleet, at: Where) -> Prometheus | Sidecar:
    if at.part == "sidecar":
        return sidecar_of(fleet, at.region)
    found = fleet.regions[at.region].prometheus
    if found is None:
        raise FaultError(
            f"fleet {fleet.fleet!r}: region {at.region!r} has no `prometheus`; describe it at "
            f"regions.{at.region}.prometheus"
        )
    return found
