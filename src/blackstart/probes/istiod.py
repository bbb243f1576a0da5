"""`istiod`: what a region's istiod believes, asked at its debug endpoints, and believed only where it can be checked.

After it has lost a remote API server istiod keeps what it had, calls the
cluster `synced`, and knows no better. So what it says of a cluster is compared
with what that cluster says of itself.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Endpoint
from blackstart.probes.admin import Page, ask
from blackstart.probes.base import Look, NoData, Scope, Value
from blackstart.probes.errors import status_reason
from blackstart.probes.istioddebug import Proxy, endpoints, proxies, status_of
from blackstart.probes.kubernetes import get_object
from blackstart.probes.mesh import MeshSpec, cluster_id, host_of, mesh_of, region_of, wrong_answer
from blackstart.probes.slices import Endpoints, in_slices, slices_path
from blackstart.probes.threads import in_thread
from blackstart.schema.base import Seconds

_clock = time.monotonic
_OF_CLUSTER = ("healthy", "endpoints", "synced")


class Spec(MeshSpec):
    """Reads `measure` of an istiod; key: its region.

    Of the service in the cluster of region `of`: `endpoints`, `healthy` (those
    that are ready), `synced` (1 where istiod has its state). Of its proxies:
    `proxies` (how many), `unacked` (those that have not accepted what they
    were sent), `push_age` (seconds since anything was sent). And `ready`.

    With `verify`, what is said of a cluster counts only if the cluster's own
    EndpointSlices say the same; a difference may last as long as `lag`.
    """

    kind: Literal["istiod"] = "istiod"
    measure: Literal["healthy", "endpoints", "synced", "proxies", "unacked", "push_age", "ready"] = "healthy"
    verify: bool = True
    lag: Seconds = Field(default=3.0, ge=0)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        named = self.service is not None or self.host is not None
        if self.measure not in _OF_CLUSTER:
            if named or self.of is not None:
                raise ValueError(f"`measure: {self.measure}` is not about a service; remove `service`, `host`, `of`")
        elif self.of is None or not named:
            raise ValueError(f"`measure: {self.measure}` needs `of`, and `service` or `host`")
        if self.host is not None and self.verify and not slices_path(self.host):
            raise ValueError(f"{self.host} has no EndpointSlices; write `verify: false`, or NAME.NAMESPACE.svc...")
        return self


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look for each region."""
    of, istiods = region_of(spec, scope), {r: mesh_of(scope, r).istiod for r in scope.regions(spec.regions)}
    if of is None:
        return {region: _own(spec, scope, istiod) for region, istiod in istiods.items()}
    hosts = {region: host_of(spec, scope, region) for region in istiods}
    return {region: _cluster(spec, scope, of, (region, hosts[region], istiods[region])) for region in istiods}


async def _ask(spec: Spec, scope: Scope, istiod: Endpoint, *paths: str) -> list[Page]:
    return await in_thread(lambda: ask(istiod, paths, spec.deadline), scope.fleet.places[istiod.place])


async def _own(spec: Spec, scope: Scope, istiod: Endpoint) -> Value:
    """Of istiod itself and its proxies."""
    if spec.measure == "ready":
        (page,) = await _ask(spec, scope, istiod, "/ready")
        if page.status not in (200, 503):
            raise NoData(status_reason(page.status), f"{page.url}: HTTP {page.status}")
        return Value(float(page.status == 200), age=0.0)
    (page,) = await _ask(spec, scope, istiod, "/debug/syncz")
    try:
        found = proxies(page.document())
        return _of_proxies(spec.measure, found, page)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise wrong_answer("istiod", error) from None


def _of_proxies(measure: str, found: list[Proxy], page: Page) -> Value:
    if measure == "proxies":
        return Value(float(len(found)), age=0.0, detail=", ".join(proxy.name for proxy in found))
    if not found:
        raise NoData(Reason.EMPTY, "no proxy is connected to this istiod")
    if measure == "unacked":
        behind = [f"{proxy.name}: {proxy.unacked}" for proxy in found if proxy.unacked]
        return Value(float(len(behind)), age=0.0, detail="; ".join(behind))
    sent = [proxy.sent for proxy in found if proxy.sent]
    if not sent:
        raise NoData(Reason.EMPTY, "this istiod has sent nothing to its proxies")
    return Value(max((page.date - max(sent)).total_seconds(), 0.0), age=0.0)


async def _cluster(spec: Spec, scope: Scope, of: str, where: tuple[str, str, Endpoint]) -> Value:
    """Of a service in the cluster of region `of`."""
    region, host, istiod = where
    own = await _slices(spec, scope, of, host) if spec.verify else None
    pages = await _ask(spec, scope, istiod, "/debug/clusterz", "/debug/endpointShardz")
    try:
        status = status_of(pages[0].document(), cluster_id(scope.fleet, of))
        found = endpoints(pages[1].document(), host, cluster_id(scope.fleet, of))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise wrong_answer("istiod", error) from None
    if spec.measure == "synced" and status != "synced":
        return Value(0.0, age=0.0, detail=f"istiod says {status!r}")
    if status != "synced":
        raise NoData(Reason.STALE, f"istiod does not follow the cluster of {of}: {status!r}")
    if own is not None:
        _same(spec, scope, (region, of), found, own)
    values = {"synced": 1, "healthy": len(found.ready), "endpoints": len(found.all)}
    return Value(float(values[spec.measure]), age=0.0)


async def _slices(spec: Spec, scope: Scope, of: str, host: str) -> Endpoints:
    """What the cluster says of its own service. Raises NoData: stale, since without it nobody can tell."""
    path, cluster = slices_path(host) or "", scope.fleet.regions[of].cluster
    try:
        document: Any = await asyncio.wait_for(
            in_thread(lambda: get_object(cluster, path, spec.deadline)), _part(spec)
        )
        return in_slices(document)
    except TimeoutError:
        raise NoData(Reason.STALE, _unknown(of, f"no answer within {_part(spec):g} s")) from None
    except NoData as error:
        if error.reason not in (Reason.REFUSED, Reason.TIMEOUT):
            raise
        raise NoData(Reason.STALE, _unknown(of, str(error))) from None


def _part(spec: Spec) -> float:
    """The API server's share of the deadline: istiod must be asked within the rest."""
    return spec.deadline * 0.6


def _unknown(of: str, why: str) -> str:
    return f"what istiod says of {of} cannot be checked, the cluster itself does not answer: {why}"


def _same(spec: Spec, scope: Scope, where: tuple[str, str], found: Endpoints, own: Endpoints) -> None:
    """Refuse what has differed for longer than news takes. Raises NoData."""
    key, now = (spec.probe, where[0]), _clock()
    if found.ready == own.ready:
        scope.memory.pop(key, None)
        return
    lasted = now - scope.memory.setdefault(key, now)
    if lasted >= spec.lag:
        said = f"istiod has {len(found.ready)} ready endpoints of {where[1]}, the cluster itself {len(own.ready)}"
        raise NoData(Reason.STALE, f"{said}, not the same ones for {lasted:.1f} s")
