"""How a service's clients get in, and what each part on the way does when something behind it is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from blackstart.plan.forecast import checks, ejection, kubernetes, meshes
from blackstart.plan.forecast.losses import How, Loss
from blackstart.plan.forecast.retries import hides
from blackstart.plan.forecast.settings import Balancer, Clients, Gateway, Readiness
from blackstart.plan.forecast.spans import AT_ONCE, NEVER, last, later, span
from blackstart.schema.forecast import Expected


@dataclass(frozen=True)
class Way:
    """What is known of the way in. home: the region whose entry clients come to first."""

    home: str
    balancer: Balancer | None = None
    gateway: Gateway | None = None
    readiness: Readiness | None = None


@dataclass(frozen=True)
class Outcome:
    """What comes of one loss; `because` in words. `failback` None: not foretold."""

    by: str
    taken_out: Expected
    recovered: Expected
    failback: Expected | None
    because: str = ""


def outcome(loss: Loss, way: Way, clients: Clients) -> Outcome | str:
    """What clients feel of a loss; a text says why that cannot be told."""
    if loss.how is How.UNKNOWN:
        return f"no formula tells what {loss.kind} does to clients"
    if loss.region != way.home and not _shared(way):
        return Outcome("nobody", AT_ONCE, AT_ONCE, AT_ONCE, f"clients are served by {way.home}, not {loss.region}")
    if loss.how in (How.TOLD, How.CUT_SHORT):
        return _told(loss, way, clients)
    if loss.how is How.SILENT:
        return _silent(loss, way, clients)
    return _region(loss, way, clients)


def _shared(way: Way) -> bool:
    """Whether a gateway sends to other regions even while its own is well."""
    return way.gateway is not None and not way.gateway.prioritised


def _told(loss: Loss, way: Way, clients: Clients) -> Outcome | str:
    short = loss.how is How.CUT_SHORT
    if way.gateway:
        hidden = not short or hides(way.gateway.retries, way.gateway.timeout, clients, silent=False)
        recovered = AT_ONCE if hidden else span(0.0, kubernetes.PUSH.high)
        back = later(kubernetes.PUSH, kubernetes.PUSH)
        return Outcome("the mesh is told", kubernetes.PUSH, recovered, back)
    if way.balancer:
        return _balanced(way.balancer, clients, silent=False, because="a region without pods refuses at once")
    return "neither a balancer nor a mesh is named that could send clients to another region"


def _silent(loss: Loss, way: Way, clients: Clients) -> Outcome | str:
    gateway = way.gateway
    if gateway is None:
        return "no mesh gateway is named on the way to these pods"
    out = ejection.taken_out(gateway, loss.region, clients)
    recovered = meshes.recovered(gateway, loss.region, clients)
    back = ejection.back(gateway, loss.region, clients)
    because = ""
    if way.balancer:
        if hides(way.balancer.retries, way.balancer.timeout, clients, silent=True):
            recovered = AT_ONCE
        seen = checks.taken_out(way.balancer, silent=True)
        if seen.low is not None:
            # Whether its checks reach the pods or end at the gateway is not in its configuration.
            out = span(min(seen.low, out.low if out.low is not None else seen.low), out.high)
        back = last([back, checks.back(way.balancer, silent=True)])
        because = "the balancer notices only if its health checks reach the pods"
    return Outcome("the gateway's outlier detection", out, recovered, back, because)


def _region(loss: Loss, way: Way, clients: Clients) -> Outcome | str:
    silent = loss.how is How.REGION
    if way.balancer:
        found = _balanced(way.balancer, clients, silent)
        return _shared_with(found, way.gateway, loss, clients) if way.gateway and silent and _shared(way) else found
    if way.gateway and loss.region == way.home:
        return Outcome("nobody", NEVER, NEVER, None, f"clients come in by the gateway of {loss.region} alone")
    if way.gateway:
        if not silent:
            return Outcome("nobody", AT_ONCE, AT_ONCE, AT_ONCE, f"no client comes in by {loss.region}")
        return _silent(loss, way, clients)
    if way.readiness and silent:
        alone = kubernetes.lost_alone(way.readiness)
        because = (
            "nothing else is named that would notice: readiness while kubelets live, node-monitor-grace-period "
            "(its default, 40 s, 50 s since Kubernetes 1.32) once they do not; that there are pods elsewhere"
        )
        return Outcome("Kubernetes", alone, alone, None, because)
    return "neither a balancer nor a mesh is named that could send clients to another region"


def _shared_with(found: Outcome, gateway: Gateway, loss: Loss, clients: Clients) -> Outcome:
    """The same where the survivors' gateways go on sending to the lost region."""
    return replace(
        found,
        taken_out=last([found.taken_out, ejection.taken_out(gateway, loss.region, clients)]),
        recovered=last([found.recovered, meshes.recovered(gateway, loss.region, clients)]),
        because=f"without priorities the survivors' gateways, too, send to {loss.region} until it is ejected",
    )


def _balanced(balancer: Balancer, clients: Clients, silent: bool, because: str = "") -> Outcome:
    return Outcome(
        by="the balancer's health checks",
        taken_out=checks.unhindered(balancer, silent, clients),
        recovered=checks.recovered(balancer, silent, clients),
        failback=checks.back(balancer, silent),
        because=because,
    )
