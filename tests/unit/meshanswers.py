"""Answers of an Envoy's administration and of istiod, as a lab's gave them, cut down to what probes read."""

from __future__ import annotations

from typing import Any

from loopback import fleet

from blackstart.fleet.model import Fleet

HOST = "shop.prod.svc.cluster.local"
CLUSTER = f"outbound|8080||{HOST}"
SENT = "2026-11-25T19:06:37Z/2b871c3d8"


def mesh_fleet(urls: dict[str, str], **keys: str) -> Fleet:
    """The fleet with a mesh in some regions, istiod and gateway at one URL; `keys` are other keys of the mesh."""
    regions = fleet().model_dump()["regions"]
    for name, url in urls.items():
        endpoint = {"url": url, "place": "here"}
        regions[name]["mesh"] = {"istiod": endpoint, "gateway": endpoint, **keys}
    return fleet(regions=regions)


def host(region: str, priority: int = 0, **health: Any) -> dict[str, Any]:
    """A host of a cluster; Envoy leaves out a priority of 0, and every flag that is not set."""
    return {
        "address": {"socket_address": {"address": "198.19.1.3", "port_value": 8080}},
        "health_status": {"eds_health_status": "HEALTHY", **health},
        "weight": 1,
        "locality": {"region": region, "zone": f"{region}-a"} if region else {},
        **({"priority": priority} if priority else {}),
    }


HOSTS = [*[host("us")] * 3, *[host("eu", 1)] * 3]


def clusters(hosts: list[dict[str, Any]] = HOSTS, *more: str, name: str = CLUSTER) -> dict[str, Any]:
    """`/clusters`; `more` are names of other clusters of istiod's."""
    own = {"name": "xds-grpc", "observability_name": "xds-grpc", "host_statuses": [host("")]}
    ours = {"name": name, "added_via_api": True, "observability_name": f"{name};", "host_statuses": hosts}
    others = [{"name": other, "observability_name": f"{other};"} for other in ("BlackHoleCluster", *more)]
    return {"cluster_statuses": [own, ours, *others]}


STATS = {
    "update_success": 1,
    "update_rejected": 0,
    "update_time": 1795633600925,
    "lb_healthy_panic": 0,
    "outlier_detection.ejections_active": 0,
    "outlier_detection.ejections_enforced_total": 0,
    "outlier_detection.ejections_overflow": 0,
    "upstream_cx_connect_fail": 0,
    "upstream_rq_completed": 33,
    "upstream_rq_retry": 0,
    "zone.us-a.us-a.upstream_rq_completed": 33,
}
ENVOY = {
    "control_plane.connected_state": 1,
    "server.uptime": 15,
    "cluster_manager.cds.update_rejected": 0,
    "listener_manager.lds.update_rejected": 0,
}


def stats(**changes: Any) -> dict[str, Any]:
    """`/stats`: those of the cluster, and of Envoy itself. `changes` by name, `__` for a dot; None: not there."""
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    of_cluster = STATS | {name: value for name, value in changed.items() if name not in ENVOY}
    values = {f"cluster.{CLUSTER};.{name}": value for name, value in of_cluster.items()}
    values |= {name: changed.get(name, value) for name, value in ENVOY.items()}
    return {"stats": [{"name": name, "value": value} for name, value in values.items() if value is not None]}


CLUSTERZ = [
    {"id": "us", "secretName": "", "syncStatus": "synced"},
    {"id": "eu", "secretName": "istio-system/istio-remote-secret-eu", "syncStatus": "synced"},
]


def shardz(**shards: list[tuple[str, int]]) -> dict[str, Any]:
    """`/debug/endpointShardz`: cluster -> address and health (1: healthy, 2: not) of each endpoint of the service."""
    found = {
        f"Kubernetes/{cluster}": [
            {"Addresses": [address], "EndpointPort": 8080, "HealthStatus": health, "Locality": {"ClusterID": cluster}}
            for address, health in endpoints
        ]
        for cluster, endpoints in shards.items()
    }
    return {HOST: {"prod": {"Shards": found, "ServiceAccounts": {}}}}


def proxy(sent: str = SENT, acked: str = SENT, at: str = "2026-11-25T19:06:40.91791027Z", error: str = "") -> Any:
    """One entry of `/debug/syncz`."""
    state = {"sent": sent, "acked": acked, "sentTime": at, **({"lastError": error} if error else {})}
    kinds = ("cluster.v3.Cluster", "endpoint.v3.ClusterLoadAssignment")
    good = {"sent": SENT, "acked": SENT, "sentTime": "2026-11-25T19:06:37Z"}
    return {
        "cluster_id": "us",
        "proxy": "istio-ingressgateway-us.istio-system",
        "proxy_type": "router",
        "resources": dict(
            zip((f"type.googleapis.com/envoy.config.{kind}" for kind in kinds), (state, good), strict=True)
        ),
    }


def slices(*ready: str, unready: tuple[str, ...] = ()) -> dict[str, Any]:
    """A list of EndpointSlices; a missing condition stands for ready."""
    endpoints = [
        *({"addresses": [address], "conditions": {"ready": True}} for address in ready[:1]),
        *({"addresses": [address]} for address in ready[1:]),
        *({"addresses": [address], "conditions": {"ready": False}} for address in unready),
    ]
    return {"kind": "EndpointSliceList", "items": [{"endpoints": endpoints}, {"endpoints": None}]}
