"""The answers of istiod's debug endpoints, in our words. Raises the errors of Python for what is shaped otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from blackstart.evidence.records import Reason
from blackstart.probes.base import NoData
from blackstart.probes.slices import Endpoints

_HEALTHY = 1
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Proxy:
    """A connected proxy: when anything was last sent to it, and what it has not accepted, empty for nothing."""

    name: str
    sent: datetime | None
    unacked: str


def status_of(clusterz: list[dict[str, str]], cluster: str) -> str:
    """`synced`, `syncing`, `timeout` or `closed`. Raises NoData for a cluster that istiod was never told of."""
    known = {entry["id"]: entry["syncStatus"] for entry in clusterz}
    if cluster not in known:
        raise NoData(Reason.EMPTY, f"istiod has no cluster {cluster!r}; it has: {', '.join(sorted(known)) or 'none'}")
    return known[cluster]


def endpoints(shardz: dict[str, Any], host: str, cluster: str) -> Endpoints:
    """The endpoints of a service in one cluster. Raises NoData for a service that istiod does not know.

    A cluster with none is left out of an answer that has the service. An
    address is ready when it is on each of its ports.
    """
    if host not in shardz:
        raise NoData(Reason.EMPTY, f"istiod has no service {host}; it has: {', '.join(sorted(shardz)) or 'none'}")
    shards = [namespace["Shards"].get(f"Kubernetes/{cluster}") or () for namespace in shardz[host].values()]
    found = [e for shard in shards for e in shard]
    unready = {e["Addresses"][0] for e in found if e["HealthStatus"] != _HEALTHY}
    addresses = frozenset(e["Addresses"][0] for e in found)
    return Endpoints(addresses, addresses - unready)


def proxies(syncz: list[dict[str, Any]]) -> list[Proxy]:
    """The proxies of an answer."""
    return [_proxy(entry) for entry in syncz]


def _proxy(entry: dict[str, Any]) -> Proxy:
    resources: dict[str, dict[str, str]] = entry.get("resources") or {}
    sent = [datetime.fromisoformat(r["sentTime"]) for r in resources.values() if r.get("sent")]
    return Proxy(entry["proxy"], max((at for at in sent if at > _NEVER), default=None), _unacked(resources))


def _unacked(resources: dict[str, dict[str, str]]) -> str:
    said = []
    for kind, state in resources.items():
        name = kind.rpartition(".")[2]
        if state.get("lastError"):
            said.append(f"{name}: {state['lastError']}")
        elif state.get("sent", "") != state.get("acked", ""):
            said.append(f"{name} not acknowledged yet")
    return ", ".join(said)
