"""Whether clients come in where fleet.yaml says that they do: by the mesh gateway of a region.

A drill of a mesh whose clients pass it by would pass whatever the mesh does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from blackstart.evidence.records import Check
from blackstart.fleet.model import Fleet
from blackstart.fleet.places import inside
from blackstart.probes.envoyadmin import connections
from blackstart.run.looks import Look, Wrong, run_looks

ENOUGH = 0.5
"""The share of the clients' fresh connections that must arrive: on a busy machine some are late."""

_DEADLINE = 5.0


@dataclass(frozen=True)
class Count:
    """Connections that a gateway has accepted since it began to count, `at` a time of the monotonic clock."""

    accepted: float
    at: float


Door = Callable[[], Count]
"""Counts at one gateway now; raises NoData, or Wrong when fleet.yaml has none to ask."""


def doors(fleet: Fleet, services: Mapping[str, str]) -> dict[str, Door]:
    """service -> the gateway that its clients come in by, where fleet.yaml names one."""
    named = {name: fleet.services[name].entry.gateway for name in services.values()}
    return {name: _door(fleet, region) for name, region in named.items() if region is not None}


async def count(doors: Mapping[str, Door], deadline: float) -> dict[str, Count]:
    """Count at every gateway; one that does not say is missing."""
    found: dict[str, Count] = {}

    def look(name: str, door: Door) -> str:
        found[name] = door()
        return ""

    await run_looks({name: _bound(look, name, door) for name, door in doors.items()}, deadline)
    return found


async def came_in(
    doors: Mapping[str, Door], before: Mapping[str, Count], interval: float, deadline: float
) -> list[Check]:
    """Whether the clients of each service came in by its gateway since `before`: `baseline/gateway/<service>`.

    interval: seconds between two fresh connections of a client.
    """

    def look(name: str, door: Door) -> str:
        return compare(name, before.get(name), door(), interval)

    return await run_looks({f"baseline/gateway/{name}": _bound(look, name, d) for name, d in doors.items()}, deadline)


def compare(service: str, before: Count | None, now: Count, interval: float) -> str:
    """What two counts say. Raises Wrong when the clients pass the gateway by, RuntimeError when they say nothing."""
    if before is None:
        raise RuntimeError("the gateway did not say how many connections it had accepted when the baseline began")
    opened, accepted = (now.at - before.at) / interval, now.accepted - before.accepted
    if accepted < 0:
        raise RuntimeError("the gateway began to count anew during the baseline")
    said = f"the gateway accepted {accepted:.0f} connections, the clients of {service} opened about {opened:.0f}"
    if accepted < ENOUGH * opened:
        raise Wrong(
            f"{said}: this traffic does not use the mesh, so the drill would say nothing of it; correct `url` or "
            f"`gateway` of services.{service}.entry in fleet.yaml"
        )
    return said


def _door(fleet: Fleet, region: str) -> Door:
    def ask() -> Count:
        mesh = fleet.regions[region].mesh
        if mesh is None:
            raise Wrong(
                f"clients are said to come in by the gateway of {region}, but regions.{region} has no `mesh` in "
                "fleet.yaml, so that nobody can be asked; describe it, or take `gateway` out of the entry"
            )
        with inside(fleet.places[mesh.gateway.place]):
            return Count(connections(mesh.gateway, _DEADLINE), time.monotonic())

    return ask


def _bound(call: Callable[[str, Door], str], name: str, door: Door) -> Look:
    return lambda: call(name, door)
