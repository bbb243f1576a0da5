"""`envoy`: what a region's ingress gateway knows of a mesh service, asked at the administration of its Envoy.

During a data-plane failure Kubernetes and istiod may be green from end to end:
only the proxies that send the requests see it. What they got from istiod is
told apart from what they found out: without a connection to istiod the first
is stale, and says so.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Literal, Self

from pydantic import Field, model_validator

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Endpoint, Place
from blackstart.probes.base import Look, NoData, Scope, Value
from blackstart.probes.envoyadmin import CONNECTED, REJECTED, UPTIME, Host, Seen, Wanted, see
from blackstart.probes.mesh import MeshSpec, host_of, localities, mesh_of, region_of
from blackstart.probes.threads import in_thread

_FIRST = 0.5
# Envoy brings its uptime up to date every 5 s.
_RESTART = 10.0

_GROWING = {
    "ejections": ("outlier_detection.ejections_enforced_total",),
    "overflow": ("outlier_detection.ejections_overflow",),
    "panics": ("lb_healthy_panic",),
    "requests": ("upstream_rq_completed",),
    "retries": ("upstream_rq_retry",),
    "connect_failures": ("upstream_cx_connect_fail",),
    "rejected": REJECTED,
}
_GAUGES = {"ejected": "outlier_detection.ejections_active", "connected": CONNECTED}
_OF_HOSTS = ("healthy", "hosts", "priority")


class Spec(MeshSpec):
    """Reads `measure` of the upstream cluster of a mesh service; key: the region whose gateway is asked.

    Of the hosts in region `of`, or of all: `healthy`, `hosts`, `priority` (the
    best one; 0 is used first, so two regions at 0 cannot fail over). Now:
    `ejected`, `connected` (1: to istiod), `config_age` (seconds since istiod
    last sent hosts). Since the look before: `share` (of the answers, those
    from region `of`, 0 to 1), `requests`, `retries`, `connect_failures`,
    `ejections`, `overflow` (ejections that maxEjectionPercent forbade),
    `panics`, `rejected` (configuration).
    """

    kind: Literal["envoy"] = "envoy"
    port: int | None = Field(default=None, gt=0, lt=65536)
    measure: Literal[
        "healthy",
        "hosts",
        "priority",
        "share",
        "ejected",
        "ejections",
        "overflow",
        "panics",
        "requests",
        "retries",
        "connect_failures",
        "connected",
        "config_age",
        "rejected",
    ] = "healthy"
    subset: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.service is None and self.host is None:
            raise ValueError("needs either `service` or `host`")
        if self.of is None and self.measure in ("share", "priority"):
            raise ValueError(f"`measure: {self.measure}` needs `of`: the role of a region")
        if self.of is not None and self.measure not in (*_OF_HOSTS, "share"):
            raise ValueError(f"`measure: {self.measure}` is not about one region; remove `of`")
        return self


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look for each region."""
    of, gateways = region_of(spec, scope), {r: mesh_of(scope, r).gateway for r in scope.regions(spec.regions)}
    hosts = {region: host_of(spec, scope, region) for region in gateways}
    return {region: _look(spec, scope, of, (region, hosts[region], gateways[region])) for region in gateways}


async def _look(spec: Spec, scope: Scope, of: str | None, where: tuple[str, str, Endpoint]) -> Value:
    region, host, gateway = where
    place, wanted = scope.fleet.places[gateway.place], Wanted(host, spec.port, spec.subset)
    seen = await _see(spec, place, gateway, wanted)
    if spec.measure not in _GROWING and spec.measure != "share":
        return _now(spec, scope, of, seen)
    before = scope.memory.get((spec.probe, region))
    if before is None:
        # Nothing to compare with yet: the first look is two, a moment apart.
        await asyncio.sleep(min(_FIRST, spec.deadline / 3))
        before, seen = seen, await _see(spec, place, gateway, wanted)
    scope.memory[spec.probe, region] = seen
    _same_counters(before, seen)
    value = _share(scope, of, before, seen) if spec.measure == "share" else _growth(spec.measure, before, seen)
    return Value(value, age=0.0, detail=f"in {seen.at - before.at:.1f} s")


async def _see(spec: Spec, place: Place, gateway: Endpoint, wanted: Wanted) -> Seen:
    return await in_thread(lambda: see(gateway, wanted, spec.deadline), place)


def _now(spec: Spec, scope: Scope, of: str | None, seen: Seen) -> Value:
    if spec.measure in _GAUGES:
        return Value(_stat(seen, _GAUGES[spec.measure]), age=0.0)
    if not seen.stat("update_success"):
        raise NoData(Reason.STALE, "istiod has never sent the hosts of this service to the gateway")
    if spec.measure == "config_age":
        return Value(max(seen.date.timestamp() - seen.stat("update_time") / 1000, 0.0), age=0.0)
    if seen.stats.get(CONNECTED) != 1:
        raise NoData(Reason.STALE, "the gateway has no connection to istiod: its hosts are those of before")
    return _of_hosts(spec.measure, _regions(scope, seen.hosts), of)


def _of_hosts(measure: str, hosts: list[tuple[str, Host]], of: str | None) -> Value:
    chosen = [host for region, host in hosts if of in (None, region)]
    total, healthy = Counter(r for r, _ in hosts), Counter(r for r, h in hosts if h.healthy)
    detail = "healthy: " + ", ".join(
        f"{region or 'elsewhere'} {healthy[region]} of {total[region]}" for region in total
    )
    if measure == "priority":
        if not chosen:
            raise NoData(Reason.EMPTY, f"no hosts of {of}, so they have no priority")
        return Value(float(min(host.priority for host in chosen)), age=0.0, detail=detail)
    return Value(float(len(chosen) if measure == "hosts" else sum(h.healthy for h in chosen)), age=0.0, detail=detail)


def _regions(scope: Scope, hosts: tuple[Host, ...]) -> list[tuple[str, Host]]:
    """Each host with its region of the fleet, empty for one that is elsewhere. Raises NoData when all are."""
    names = localities(scope.fleet)
    found = [(names.get(host.region, ""), host) for host in hosts]
    if found and not any(region for region, _ in found):
        said = ", ".join(sorted({host.region or "none" for host in hosts}))
        detail = f"no host is in a region of fleet {scope.fleet.fleet!r}, but in: {said}; write `mesh.locality`"
        raise NoData(Reason.MALFORMED, detail)
    return found


def _stat(seen: Seen, name: str) -> float:
    if name.startswith("outlier_detection.") and name not in seen.stats:
        raise NoData(Reason.EMPTY, "the service has no outlierDetection: nothing is ever ejected")
    return seen.stat(name)


def _growth(measure: str, before: Seen, seen: Seen) -> float:
    return sum(_stat(seen, name) - _stat(before, name) for name in _GROWING[measure])


def _same_counters(before: Seen, seen: Seen) -> None:
    """Refuse to compare counters that began anew in between. Raises NoData."""
    then, now = before.stat(UPTIME), seen.stat(UPTIME)
    younger = now < then or then + seen.at - before.at - now > _RESTART
    counters = {name for names in _GROWING.values() for name in names} & before.stats.keys()
    if younger or any(seen.stats.get(name, 0) < before.stat(name) for name in counters):
        raise NoData(Reason.PARTIAL, "the gateway began to count anew since the look before")


def _share(scope: Scope, of: str | None, before: Seen, seen: Seen) -> float:
    """The share of answers that came from region `of`. Those that Envoy gave itself came from no region."""
    came, sent = _answers_by_region(scope, before, seen), _growth("requests", before, seen)
    if not sent:
        raise NoData(Reason.EMPTY, f"no request was answered in {seen.at - before.at:.1f} s: a share of nothing")
    if not seen.answers():
        raise NoData(Reason.EMPTY, "no answers by zone: has the gateway, have the hosts' nodes a zone?")
    if came[""]:
        raise NoData(Reason.PARTIAL, f"{came['']:g} of {sent:g} answers came from zones of no known region")
    # Threads count on while the page is written: a zone may be ahead of the sum.
    return came[of or ""] / max(sent, came.total())


def _answers_by_region(scope: Scope, before: Seen, seen: Seen) -> Counter[str]:
    names = localities(scope.fleet)
    zones = {host.zone: names.get(host.region, "") for host in (*before.hosts, *seen.hosts) if host.zone}
    old, found = before.answers(), Counter[str]()
    for pair, count in seen.answers().items():
        zone = max((z for z in zones if pair.endswith(f".{z}")), key=len, default="")
        found[zones.get(zone, "")] += int(count - old.get(pair, 0.0))
    return found
