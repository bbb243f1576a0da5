"""The demo's mesh rules, the same in every region: failover that works, and was measured to. Pure.

Each of these values matters: without `outlierDetection` there is no failover
at all, without `maxEjectionPercent` no region can be ejected, without
`retryRemoteLocalities` a retry goes to the same dead region.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blackstart.lab import ports
from blackstart.lab.manifests import APP, NAMESPACE, NODE_PORT, PORT

Object = dict[str, Any]

HOST = f"{APP}.{NAMESPACE}.svc.cluster.local"
GEO_HEADER = "x-region"
PARTNER = "partner"
PARTNER_HOST = "partner.example.com"
"""Outside of Kubernetes, as far as the mesh knows: addresses that never change, whatever becomes of what is there."""

_API = "networking.istio.io/v1"

# A try fits into the edge's own (lab/edge.py), so that the gateway fails over before the edge does.
_TRY = "200ms"


def rules(regions: Sequence[str], partner: Mapping[str, str] | None = None) -> list[Object]:
    """Gateway, VirtualService and DestinationRule; with `partner` (region -> address) those of a service outside."""
    outside = [_partner_entry(partner), _partner_routes(), _partner_rule(list(partner))] if partner else []
    return [_gateway(), _virtual_service(regions), _destination_rule(regions), *outside]


def _gateway() -> Object:
    server = {"port": {"number": ports.GATEWAY, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    return _object("Gateway", APP, {"selector": {"istio": "ingressgateway"}, "servers": [server]})


def _virtual_service(regions: Sequence[str]) -> Object:
    """Who says where they belong goes there first; all others to the gateway's own region."""
    geo = [
        {"match": [{"headers": {GEO_HEADER: {"exact": region}}}], **_route({**_service(), "subset": _home(region)})}
        for region in regions
    ]
    return _object("VirtualService", APP, {"hosts": ["*"], "gateways": [APP], "http": [*geo, _route(_service())]})


def _destination_rule(regions: Sequence[str]) -> Object:
    spec = {"host": HOST, "trafficPolicy": _policy(regions), "subsets": [_subset(region) for region in regions]}
    return _object("DestinationRule", APP, spec)


def _subset(region: str) -> Object:
    """All pods, those of one region first. Only its pods would be a subset that dies with the region."""
    setting = {"enabled": True, "failoverPriority": [f"topology.kubernetes.io/region={region}"]}
    balancer = {"simple": "ROUND_ROBIN", "localityLbSetting": setting}
    return {"name": _home(region), "trafficPolicy": {"loadBalancer": balancer}}


def _home(region: str) -> str:
    return f"home-{region}"


def _partner_entry(addresses: Mapping[str, str]) -> Object:
    endpoints = [
        {"address": address, "locality": f"{region}/{region}-a", "ports": {"http": NODE_PORT}}
        for region, address in addresses.items()
    ]
    spec = {
        "hosts": [PARTNER_HOST],
        "location": "MESH_EXTERNAL",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": endpoints,
    }
    return _object("ServiceEntry", PARTNER, spec)


def _partner_routes() -> Object:
    route = _route({"host": PARTNER_HOST, "port": {"number": 80}})
    return _object("VirtualService", PARTNER, {"hosts": [PARTNER_HOST], "gateways": [APP], "http": [route]})


def _partner_rule(regions: Sequence[str]) -> Object:
    return _object("DestinationRule", PARTNER, {"host": PARTNER_HOST, "trafficPolicy": _policy(regions)})


def _service() -> Object:
    return {"host": HOST, "port": {"number": PORT}}


def _route(destination: Object) -> Object:
    return {
        "route": [{"destination": destination}],
        "timeout": "1s",
        "retries": {
            "attempts": 3,
            "perTryTimeout": _TRY,
            "retryOn": "connect-failure,refused-stream,reset,gateway-error",
            "retryRemoteLocalities": True,
        },
    }


def _policy(regions: Sequence[str]) -> Object:
    following = [*regions[1:], *regions[:1]]
    failover = [{"from": a, "to": b} for a, b in zip(regions, following, strict=True) if a != b]
    return {
        "connectionPool": {"tcp": {"connectTimeout": _TRY}},
        "loadBalancer": {
            "simple": "ROUND_ROBIN",
            "localityLbSetting": {"enabled": True, **({"failover": failover} if failover else {})},
        },
        "outlierDetection": {
            "consecutive5xxErrors": 3,
            "consecutiveGatewayErrors": 3,
            "interval": "1s",
            "baseEjectionTime": "5s",
            # A share of all regions' hosts: less than 100 may keep a dead region in.
            "maxEjectionPercent": 100,
        },
    }


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
