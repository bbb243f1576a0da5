"""The settings of a global balancer, out of the /config_dump of its Envoy. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blackstart.plan.forecast.settings import Balancer, Checks, Retries
from blackstart.plan.values import items, mapping, seconds, text, whole

_TIMEOUT = 15.0
"""Envoy's timeout of a route that says none."""
_AT_ONCE = 3
"""Envoy's circuit breaker `max_retries`, its default."""
_OF_TIMEOUTS = {"5xx", "gateway-error", "reset"}


def balancer(dump: Any) -> tuple[Balancer, list[str]] | str:
    """What it goes by and what was assumed; a text says why that cannot be told.

    Its clusters and routes may be many: the first route to a cluster with
    endpoints in several regions counts.
    """
    clusters = {text(cluster.get("name")): cluster for cluster in _clusters(dump)}
    led = [(route, clusters[name]) for route in _routes(dump) if (name := text(route.get("cluster"))) in clusters]
    found = next(((route, cluster) for route, cluster in led if len(_regions(cluster)) > 1), None)
    if found is None:
        return "the balancer's configuration has no route to a cluster with endpoints in several regions"
    route, cluster = found
    said = [f"the balancer's cluster is {text(cluster.get('name'))}"]
    if cluster.get("outlier_detection"):
        said.append("its outlier detection is not counted: health checks alone")
    timeout = seconds(route.get("timeout"))
    if timeout is None:
        said.append(f"its route has no timeout: {_TIMEOUT:g} s, Envoy's default")
    if not cluster.get("health_checks"):
        said.append("it checks no health: a lost region stays in")
    return Balancer(
        checks=_checks(cluster),
        retries=_retries(route, _limit(cluster)),
        timeout=_TIMEOUT if timeout is None else timeout or None,
        regions=tuple(_regions(cluster)),
    ), said


def _configs(dump: Any, kind: str) -> Iterator[dict[str, Any]]:
    for _, config in items(mapping(dump).get("configs")):
        if text(config.get("@type")).endswith(f".{kind}"):
            yield config


def _clusters(dump: Any) -> Iterator[dict[str, Any]]:
    for config in _configs(dump, "ClustersConfigDump"):
        for key in ("static_clusters", "dynamic_active_clusters"):
            yield from (mapping(item.get("cluster")) for _, item in items(config.get(key)))


def _routes(dump: Any) -> Iterator[dict[str, Any]]:
    """Every action of a route that leads to one cluster, with what its virtual host says of retries."""
    for config in _configs(dump, "RoutesConfigDump"):
        for key in ("static_route_configs", "dynamic_route_configs"):
            for _, item in items(config.get(key)):
                for _, host in items(mapping(item.get("route_config")).get("virtual_hosts")):
                    for _, route in items(host.get("routes")):
                        yield {"retry_policy": host.get("retry_policy"), **mapping(route.get("route"))}


def _regions(cluster: dict[str, Any]) -> list[str]:
    """The regions of its endpoints, the preferred first."""
    found = items(mapping(cluster.get("load_assignment")).get("endpoints"))
    ranked = [(whole(e.get("priority")) or 0, n, text(mapping(e.get("locality")).get("region"))) for n, e in found]
    return list(dict.fromkeys(region for _, _, region in sorted(ranked) if region))


def _checks(cluster: dict[str, Any]) -> Checks | None:
    for _, check in items(cluster.get("health_checks")):
        return Checks(
            interval=seconds(check.get("interval")) or 0.0,
            timeout=seconds(check.get("timeout")) or 0.0,
            unhealthy=whole(check.get("unhealthy_threshold")) or 1,
            healthy=whole(check.get("healthy_threshold")) or 1,
        )
    return None


def _retries(route: dict[str, Any], limit: int) -> Retries:
    policy = mapping(route.get("retry_policy"))
    if not policy:
        return Retries()
    conditions = {part.strip() for part in text(policy.get("retry_on")).split(",")}
    count = whole(policy.get("num_retries"))
    priority = mapping(policy.get("retry_priority"))
    leaves = whole(mapping(priority.get("typed_config")).get("update_frequency"))
    return Retries(
        count=1 if count is None else count,
        per_try=seconds(policy.get("per_try_timeout")) or None,
        leaves=leaves if text(priority.get("name")).endswith("previous_priorities") else None,
        timeouts=bool(conditions & _OF_TIMEOUTS),
        at_once=limit,
    )


def _limit(cluster: dict[str, Any]) -> int:
    thresholds = items(mapping(cluster.get("circuit_breakers")).get("thresholds"))
    usual = (t for _, t in thresholds if t.get("priority", "DEFAULT") == "DEFAULT")
    found = next((whole(t.get("max_retries")) for t in usual), None)
    return _AT_ONCE if found is None else found
