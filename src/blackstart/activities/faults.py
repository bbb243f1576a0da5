"""Actions that break things, prove that they are broken, and put them back.

Each names roles of fleet.yaml, never a kube context. What it changes is in
the undo store before it is changed; `undo` puts everything of the run back,
and so does `blackstart recover`.
"""

# Not `from __future__ import annotations`: `chaos discover` reads the types of arguments.

from typing import Any

from chaoslib.exceptions import ActivityFailed
from chaoslib.types import Configuration, Secrets

from blackstart.activities.session import context, fleet_of, lease
from blackstart.faults.base import fault_of
from blackstart.faults.inject import inject, restore_all, still_there
from blackstart.schema.errors import BlackstartError

__all__ = [
    "blackhole_endpoints",
    "block_remote_api",
    "block_store_api",
    "delete_namespace",
    "delete_pods",
    "drain_subset",
    "freeze_observer",
    "gateway_kill",
    "isolate",
    "istiod_kill",
    "kill",
    "kill_bucket",
    "kill_observer",
    "kill_store",
    "mesh_abort",
    "mesh_delay",
    "sandbox",
    "scale",
    "sever",
    "sever_store",
    "stop_replication",
    "undo",
]


def scale(
    service: str,
    region: str,
    replicas: int = 0,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> list[str]:
    """Scale the Deployment of a service in a region; with 0 replicas the region's own entry must fall silent."""
    return _inject("scale", configuration, service=service, region=region, replicas=replicas)


def delete_pods(service: str, region: str, configuration: Configuration = None, secrets: Secrets = None) -> list[str]:
    """Delete every pod of a service in a region at once, without grace."""
    return _inject("delete-pods", configuration, service=service, region=region)


def isolate(
    region: str, expires: float | None = None, configuration: Configuration = None, secrets: Secrets = None
) -> list[str]:
    """Cut every link of a region, silently. The cut heals by itself after `expires` seconds, or when the run ends."""
    return _inject("isolate", configuration, region=region, expires=expires, lease=lease())


def sever(
    link: list[str], expires: float | None = None, configuration: Configuration = None, secrets: Secrets = None
) -> list[str]:
    """Cut the links between two regions or places, silently. The cut heals by itself as one of `isolate` does."""
    return _inject("sever", configuration, link=link, expires=expires, lease=lease())


def kill(region: str, configuration: Configuration = None, secrets: Secrets = None) -> list[str]:
    """Take a whole region away as a real loss would, with the power commands of fleet.yaml."""
    return _inject("kill", configuration, region=region)


def gateway_kill(region: str, configuration: Configuration = None, secrets: Secrets = None) -> list[str]:
    """Kill the ingress gateway of a region's mesh, with its power commands in fleet.yaml."""
    return _inject("gateway-kill", configuration, region=region)


def istiod_kill(region: str, configuration: Configuration = None, secrets: Secrets = None) -> list[str]:
    """Kill the istiod of a region's mesh, with its power commands in fleet.yaml."""
    return _inject("istiod-kill", configuration, region=region)


def blackhole_endpoints(
    service: str,
    region: str,
    expires: float | None = None,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> list[str]:
    """Let a region's gateway no longer reach the region's pods, while these stay Ready. Heals as `isolate` does."""
    args = {"service": service, "region": region, "expires": expires, "lease": lease()}
    return _inject("blackhole-endpoints", configuration, **args)


def block_remote_api(
    region: str,
    remote: str,
    expires: float | None = None,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> list[str]:
    """Cut the istiod of a region off from the API server of region `remote`. Heals as `isolate` does."""
    args = {"region": region, "remote": remote, "expires": expires, "lease": lease()}
    return _inject("block-remote-api", configuration, **args)


def mesh_abort(
    service: str,
    region: str,
    percentage: float = 100,
    status: int = 503,
    virtual_service: str | None = None,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> list[str]:
    """Let a region's VirtualService answer a share of requests with an error. It is no proof of failover."""
    args = {"percentage": percentage, "status": status, "virtual_service": virtual_service}
    return _inject("mesh-abort", configuration, service=service, region=region, **args)


def mesh_delay(
    service: str,
    region: str,
    delay: float,
    percentage: float = 100,
    virtual_service: str | None = None,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> list[str]:
    """Let a region's VirtualService hold a share of requests up by `delay` seconds. It is no proof of failover."""
    args = {"percentage": percentage, "delay": delay, "virtual_service": virtual_service}
    return _inject("mesh-delay", configuration, service=service, region=region, **args)


def drain_subset(
    service: str,
    region: str,
    subset: str,
    virtual_service: str | None = None,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> list[str]:
    """Let a region's VirtualService send nothing to one subset; the others take its share."""
    args = {"subset": subset, "virtual_service": virtual_service}
    return _inject("drain-subset", configuration, service=service, region=region, **args)


def stop_replication(
    store: str,
    region: str,
    thread: str = "receiver",
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> list[str]:
    """Stop the receiver (or the `applier`) of the replica of a store in a region; both servers go on."""
    return _inject("stop-replication", configuration, store=store, region=region, thread=thread)


def sever_store(
    store: str,
    region: str,
    expires: float | None = None,
    configuration: Configuration = None,
    secrets: Secrets = None,
) -> list[str]:
    """Cut the replication of a store between a region and all others, and nothing else. Heals as `isolate` does."""
    return _inject("sever-store", configuration, store=store, region=region, expires=expires, lease=lease())


def kill_store(store: str, region: str, configuration: Configuration = None, secrets: Secrets = None) -> list[str]:
    """Kill the server of a store in a region, with its power commands in fleet.yaml."""
    return _inject("kill-store", configuration, store=store, region=region)


def kill_observer(region: str, part: str, configuration: Configuration = None, secrets: Secrets = None) -> list[str]:
    """Kill the `prometheus` or the Thanos `sidecar` of a region, with its power commands in fleet.yaml."""
    return _inject("kill-observer", configuration, region=region, part=part)


def freeze_observer(
    region: str, part: str, configuration: Configuration = None, secrets: Secrets = None
) -> list[str]:
    """Let the `prometheus` or the Thanos `sidecar` of a region stand still: it takes connections, never answers."""
    return _inject("freeze-observer", configuration, region=region, part=part)


def block_store_api(
    region: str, expires: float | None = None, configuration: Configuration = None, secrets: Secrets = None
) -> list[str]:
    """Cut the Thanos querier off from the store of a region's sidecar, silently. Heals as `isolate` does."""
    return _inject("block-store-api", configuration, region=region, expires=expires, lease=lease())


def kill_bucket(configuration: Configuration = None, secrets: Secrets = None) -> list[str]:
    """Take the bucket of the fleet's backups away, with its power commands in fleet.yaml."""
    return _inject("kill-bucket", configuration)


def sandbox(service: str, region: str, configuration: Configuration = None, secrets: Secrets = None) -> list[str]:
    """Copy the namespace of a service in a region, as NAMESPACE-sandbox, for a drill to lose; `undo` deletes it."""
    return _inject("sandbox", configuration, service=service, region=region)


def delete_namespace(
    service: str, region: str, configuration: Configuration = None, secrets: Secrets = None
) -> list[str]:
    """Delete the sandbox of a service in a region: only a namespace that this run made."""
    return _inject("delete-namespace", configuration, service=service, region=region)


def undo(configuration: Configuration = None, secrets: Secrets = None) -> list[str]:
    """Put back everything that this run broke, newest first, and prove it. For the rollbacks of an experiment."""
    try:
        here = context()
        fleet = fleet_of(configuration)
        entries = here.store.read(here.run).outstanding
        still_there(entries, fleet, here)
        left = restore_all(entries, fleet, here)
    except BlackstartError as error:
        raise ActivityFailed(str(error)) from error
    if left:
        raise ActivityFailed(f"not put back: {', '.join(left)}; run `blackstart recover --run {here.run}`")
    return [entry.undo.fault for entry in entries]


def _inject(kind: str, configuration: dict[str, Any] | None, **args: Any) -> list[str]:
    try:
        return inject(fault_of(kind), fleet_of(configuration), args, context())
    except BlackstartError as error:
        raise ActivityFailed(str(error)) from error
