"""What an Envoy says of one of its upstream clusters: its hosts, and the statistics that probes read."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Endpoint
from blackstart.probes.admin import ask
from blackstart.probes.base import NoData
from blackstart.probes.field import number
from blackstart.probes.mesh import wrong_answer

CONNECTED = "control_plane.connected_state"
UPTIME = "server.uptime"
REJECTED = ("update_rejected", "cluster_manager.cds.update_rejected", "listener_manager.lds.update_rejected")

_ACCEPTED = re.compile(r"listener\.(?!admin\.)(?!.*\.worker_\d+\.).+\.downstream_cx_total")
_ZONE = re.compile(r"zone\.(.+)\.upstream_rq_completed")
_OF_CLUSTER = (
    r"update_\w+|lb_healthy_panic|upstream_rq_completed|upstream_rq_retry|upstream_cx_connect_fail|"
    r"outlier_detection\.ejections_(?:active|enforced_total|overflow)|zone\..+\.upstream_rq_completed"
)
_OF_ENVOY = "|".join(re.escape(name) for name in (CONNECTED, UPTIME, *REJECTED[1:]))


@dataclass(frozen=True)
class Wanted:
    """An upstream cluster as istiod names them: by host, port, subset. Without a port, the only one of its host."""

    host: str
    port: int | None = None
    subset: str = ""

    def matches(self, name: str) -> bool:
        """Whether a cluster of this name is it: `outbound|8080|subset|host`."""
        port = str(self.port) if self.port else r"\d+"
        return bool(re.fullmatch(rf"outbound\|{port}\|{re.escape(self.subset)}\|{re.escape(self.host)}", name))


@dataclass(frozen=True)
class Host:
    """One host of a cluster. `healthy`: Envoy would send it requests."""

    region: str
    zone: str
    priority: int
    healthy: bool


@dataclass(frozen=True)
class Seen:
    """What was said in one look, at `at` of the monotonic clock here and `date` of the clock there."""

    hosts: tuple[Host, ...]
    stats: dict[str, Any]
    at: float
    date: datetime

    def stat(self, name: str) -> float:
        """A statistic of the cluster, or by its whole name one of Envoy. Raises NoData."""
        if name not in self.stats:
            raise NoData(Reason.EMPTY, f"the gateway has no statistic {name}")
        return number(self.stats[name], name)

    def answers(self) -> dict[str, float]:
        """Answers that came from each pair of zones (`us-a.eu-a`), since Envoy began to count."""
        found = {name: _ZONE.fullmatch(name) for name in self.stats}
        return {match[1]: self.stat(name) for name, match in found.items() if match}


def see(endpoint: Endpoint, wanted: Wanted, deadline: float) -> Seen:
    """Ask an Envoy's administration; blocking. Raises NoData."""
    ends = time.monotonic() + deadline
    (page,) = ask(endpoint, ["/clusters?format=json"], deadline)
    try:
        cluster = _cluster(page.document()["cluster_statuses"], wanted)
        hosts = tuple(_host(host) for host in cluster.get("host_statuses", ()))
        # Istio's clusters have another name in statistics than in the configuration.
        prefix = f"cluster.{cluster.get('observability_name') or cluster['name']}."
        pattern = f"^(?:{re.escape(prefix)}(?:{_OF_CLUSTER})|{_OF_ENVOY})$"
        found, date = _stats(endpoint, pattern, ends - time.monotonic())
        stats = {name.removeprefix(prefix): value for name, value in found.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise wrong_answer("an Envoy's administration", error) from None
    return Seen(hosts, stats, time.monotonic(), date)


def connections(endpoint: Endpoint, deadline: float) -> float:
    """Connections that an Envoy has accepted from clients since it began to count; blocking. Raises NoData."""
    stats, _ = _stats(endpoint, r"^listener\..*\.downstream_cx_total$", deadline)
    found = [number(value, name) for name, value in stats.items() if _ACCEPTED.fullmatch(name)]
    if not found:
        raise NoData(Reason.EMPTY, "the gateway listens for no clients")
    return sum(found)


def connected(endpoint: Endpoint, deadline: float) -> bool:
    """Whether an Envoy has a connection to its istiod now; blocking. Raises NoData."""
    stats, _ = _stats(endpoint, f"^{re.escape(CONNECTED)}$", deadline)
    if CONNECTED not in stats:
        raise NoData(Reason.EMPTY, f"the gateway has no statistic {CONNECTED}")
    return number(stats[CONNECTED], CONNECTED) == 1


def _stats(endpoint: Endpoint, pattern: str, deadline: float) -> tuple[dict[str, Any], datetime]:
    (page,) = ask(endpoint, [f"/stats?format=json&filter={quote(pattern, safe='')}"], deadline)
    try:
        return {s["name"]: s["value"] for s in page.document()["stats"] if "name" in s}, page.date
    except (KeyError, TypeError, AttributeError) as error:
        raise wrong_answer("an Envoy's administration", error) from None


def _cluster(clusters: Iterable[dict[str, Any]], wanted: Wanted) -> dict[str, Any]:
    known = {str(cluster["name"]): cluster for cluster in clusters}
    found = [name for name in known if wanted.matches(name)]
    if not found:
        names = ", ".join(sorted(name for name in known if name.startswith("outbound|"))) or "none"
        what = f"{wanted.host}{f':{wanted.port}' if wanted.port else ''}"
        raise NoData(Reason.EMPTY, f"the gateway has no cluster for {what}; it has: {names}")
    if len(found) > 1:
        raise NoData(Reason.MALFORMED, f"the gateway has {', '.join(sorted(found))}; write `port`")
    return known[found[0]]


def _host(host: dict[str, Any]) -> Host:
    locality, health = host.get("locality", {}), host["health_status"]
    # Of EDS alone a host that answers nobody is HEALTHY; each flag beside it is a reason not to use the host.
    healthy = health.get("eds_health_status") == "HEALTHY" and not any(
        value for name, value in health.items() if name != "eds_health_status"
    )
    return Host(locality.get("region", ""), locality.get("zone", ""), int(host.get("priority", 0)), healthy)
