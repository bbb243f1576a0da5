"""The demo's mesh rules, the same in every region: failover that works, and was measured to. Pure.

Each of these values matters: without `outlierDetection` there is no failover
at all, without `maxEjectionPercent` no region can be ejected, without
`retryRemoteLocalities` a retry goes to the same dead region.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from blackstart.lab import ports
from blackstart.lab.manifests import APP, NAMESPACE, PORT

Object = dict[str, Any]

HOST = f"{APP}.{NAMESPACE}.svc.cluster.local"
_API = "networking.istio.io/v1"

# A try fits into the edge's own (lab/edge.py), so that the gateway fails over before the edge does.
_TRY = "200ms"


def rules(regions: Sequence[str]) -> list[Object]:
    """Gateway, VirtualService and DestinationRule."""
    return [_gateway(), _virtual_service(), _destination_rule(regions)]


def _gateway() -> Object:
    server = {"port": {"number": ports.GATEWAY, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    return _object("Gateway", {"selector": {"istio": "ingressgateway"}, "servers": [server]})


def _virtual_service() -> Object:
    route = {
        "route": [{"destination": {"host": HOST, "port": {"number": PORT}}}],
        "timeout": "1s",
        "retries": {
            "attempts": 3,
            "perTryTimeout": _TRY,
            "retryOn": "connect-failure,refused-stream,reset,gateway-error",
            "retryRemoteLocalities": True,
        },
    }
    return _object("VirtualService", {"hosts": ["*"], "gateways": [APP], "http": [route]})


def _destination_rule(regions: Sequence[str]) -> Object:
    following = [*regions[1:], *regions[:1]]
    failover = [{"from": a, "to": b} for a, b in zip(regions, following, strict=True) if a != b]
    policy = {
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
    return _object("DestinationRule", {"host": HOST, "trafficPolicy": policy})


def _object(kind: str, spec: Object) -> Object:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": APP, "namespace": NAMESPACE}, "spec": spec}
