"""The edge: an Envoy that balances globally, regions as priorities.

Made so that the loss of the first region costs clients with a timeout of 1 s
no request: a try that hangs is given up after `TRY_TIMEOUT` and repeated on
the next region, until health checks take the lost region out (after 2 s at
most). An edge with `failover=False` is what a drill must call FAIL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Address = tuple[str, int]

CLUSTER = "user_service"
ORDERS = "order_service"
TRY_TIMEOUT = 0.3
"""Seconds that one region has to answer. A first try and two retries stay below a client's 1 s."""
CHECK_INTERVAL = 0.5
"""Seconds between health checks, and what one may take; two in a row decide."""

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_PRIORITIES = {
    "name": "envoy.retry_priorities.previous_priorities",
    "typed_config": {
        "@type": f"{_EXTENSIONS}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
        "update_frequency": 1,
    },
}


@dataclass(frozen=True)
class Writes:
    """A service that writes, at an address of its own. It is tried once, and only what was never sent goes elsewhere.

    A try that was given up may have written, so an answer of a second one
    must not stand for both. `timeout`: seconds, above what the service takes.
    """

    listen: Address
    upstreams: Sequence[tuple[str, str, int]]
    timeout: float = 5.0


def edge_config(
    listen: Address,
    admin: Address,
    upstreams: list[tuple[str, str, int]],
    *,
    failover: bool = True,
    health_log: Path | None = None,
    writes: Writes | None = None,
) -> dict[str, Any]:
    """An Envoy bootstrap as a mapping; JSON of it is a valid configuration file.

    `upstreams` are (region, host, port), the preferred region first. With
    `failover=False` nothing checks health and nothing is tried again, so all
    requests stay with the first region. `health_log` receives one JSON line
    for each change of a region's health.
    """
    cluster = _cluster(CLUSTER, upstreams)
    if failover:
        cluster |= {"health_checks": [_health_check(health_log)]}
    listeners, clusters = (
        [_listener("edge", listen, _route(retries=len(upstreams) - 1 if failover else 0))],
        [cluster],
    )
    if writes:
        listeners.append(_listener("orders", writes.listen, _route_of_writes(writes)))
        clusters.append(_cluster(ORDERS, writes.upstreams) | {"health_checks": [_health_check(health_log)]})
    return {
        "node": {"id": "edge", "cluster": "edge", "locality": {"zone": "edge"}},
        "admin": {"address": _address(admin)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
        # Statistics by zone are statistics by region here; a label tells them apart.
        "stats_config": {
            "stats_tags": [{"tag_name": "upstream_region", "regex": r"^cluster\.[^.]+\.zone(\.edge\.([^.]+))\."}]
        },
    }


def _listener(name: str, listen: Address, route: dict[str, Any]) -> dict[str, Any]:
    virtual_host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"name": name, "virtual_hosts": [virtual_host]},
        "http_filters": [_named("envoy.filters.http.router", "filters.http.router.v3.Router")],
        "generate_request_id": False,
        "common_http_protocol_options": {"idle_timeout": "60s"},
        "request_headers_timeout": "5s",
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "address": _address(listen), "filter_chains": [chain]}


def _route_of_writes(writes: Writes) -> dict[str, Any]:
    policy = {"retry_on": "connect-failure", "num_retries": len(writes.upstreams) - 1, "retry_priority": _PRIORITIES}
    return {"cluster": ORDERS, "timeout": _seconds(writes.timeout), "retry_policy": policy}


def _route(retries: int) -> dict[str, Any]:
    route = {"cluster": CLUSTER, "timeout": _seconds(TRY_TIMEOUT * (retries + 1) + 0.05)}
    if retries == 0:
        return route
    policy = {
        "retry_on": "5xx,reset,connect-failure,refused-stream",
        "num_retries": retries,
        "per_try_timeout": _seconds(TRY_TIMEOUT),
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"},
        "retry_priority": _PRIORITIES,
    }
    return {**route, "retry_policy": policy}


def _cluster(name: str, upstreams: Sequence[tuple[str, str, int]]) -> dict[str, Any]:
    endpoints = [
        {
            "priority": priority,
            "locality": {"region": region, "zone": region},
            "lb_endpoints": [{"endpoint": {"address": _address((host, port)), "hostname": region}}],
        }
        for priority, (region, host, port) in enumerate(upstreams)
    ]
    # Below the service's own 75 s: whoever closes an idle connection first must be the caller.
    options = {
        "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": {"idle_timeout": "30s"},
        "explicit_http_config": {"http_protocol_options": {}},
    }
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": _seconds(0.25),
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
        # With the default (50 %) a lost region would go on receiving traffic once all are sick.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        # The default of 3 retries at a time loses requests as soon as a region hangs.
        "circuit_breakers": {"thresholds": [{"max_retries": 1000}]},
        "close_connections_on_host_health_failure": True,
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }


def _health_check(log: Path | None) -> dict[str, Any]:
    check = {
        "timeout": _seconds(CHECK_INTERVAL),
        "interval": _seconds(CHECK_INTERVAL),
        "no_traffic_interval": _seconds(CHECK_INTERVAL),
        "unhealthy_threshold": 2,
        "healthy_threshold": 2,
        # A kept-alive check would see one pod for ever; a fresh one asks any that is ready.
        "reuse_connection": False,
        # Without this one 503, from a pod that is about to go, takes the whole region out.
        "http_health_check": {"path": "/healthz", "retriable_statuses": [{"start": 500, "end": 600}]},
    }
    if log is not None:
        sink = {"@type": f"{_EXTENSIONS}.health_check.event_sinks.file.v3.HealthCheckEventFileSink"}
        sink["event_log_path"] = str(log)
        check["event_logger"] = [{"name": "envoy.health_check.event_sinks.file", "typed_config": sink}]
    return check


def _named(name: str, message: str) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{_EXTENSIONS}.{message}"}}


def _address(address: Address) -> dict[str, Any]:
    host, port = address
    return {"socket_address": {"address": host, "port_value": port}}


def _seconds(value: float) -> str:
    return f"{value:.3f}s"
