"""A forecast as people read it."""

from __future__ import annotations

from blackstart.report.format import plain, seconds
from blackstart.report.format import span as between
from blackstart.schema.forecast import Capacity, Expected, Figure

NAMES: dict[Figure, str] = {
    "taken_out": "Taken out of the routing",
    "recovered": "Recovered for good",
    "failback": "Failed back",
}


def expected(time: Expected) -> str:
    """`0.30 to 1.40 s`, `0 s`, `1.50 s or later, perhaps never`, `not while the fault lasts`."""
    if time.low is None:
        return "not while the fault lasts"
    if time.high is None:
        return f"{seconds(time.low)} or later, perhaps not while the fault lasts"
    return between("rto", time.low, time.high) or seconds(time.low)


def capacity(found: Capacity) -> str:
    """What is asked of the survivors, and whether they can carry it."""
    others = "other traffic unknown" if found.others is None else f"{plain(found.others)}/s by others"
    asked = f"{plain(found.clients)} requests/s by the drill, {others}"
    if found.ready is None:
        return f"Survivors: {asked}; ready pods unknown"
    pods = ", ".join(f"{ready} in {region}" for region, ready in found.ready.items()) or "none"
    each = "what a pod can take is unknown" if found.per_pod is None else f"a pod takes {plain(found.per_pod)}/s"
    enough = {True: "enough", False: "NOT ENOUGH", None: "whether that is enough is unknown"}[found.enough]
    return f"Survivors: {asked}; ready pods: {pods}; {each}: {enough}"
