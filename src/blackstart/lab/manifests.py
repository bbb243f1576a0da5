"""The Kubernetes objects of the demo: user-service, order-service and its dumps, and what Prometheus may read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

NAMESPACE = "production"
APP = "user-service"
IMAGE = "blackstart.local/user-service:v1"
REPLICAS = 3
PORT = 8080
NODE_PORT = 30080
ORDERS = "order-service"
ORDERS_REPLICAS = 2
ORDERS_NODE_PORT = 30081
DUMPER, DUMPS = "orders-dump", "dumps"
"""The pod that dumps the database when Velero tells it to, and the Secret with the keys of the bucket."""
STORES = "stores"
"""ConfigMap with the addresses of the primaries, and Secret with the passwords, both by store."""
PROMETHEUS_USER = "prometheus"
"""The CN of the client certificate with which a region's Prometheus scrapes."""

Object = dict[str, Any]

_STORES = {"name": STORES, "namespace": NAMESPACE}
_STORES_VOLUMES: dict[str, Object] = {
    "stores": {"configMap": {"name": STORES}},
    "secrets": {"secret": {"secretName": STORES}},
}
_CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_RBAC = "rbac.authorization.k8s.io/v1"


def demo(region: str) -> list[Object]:
    """The objects of one region's demo, in the order in which to apply them."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    container = _container(APP, region, "serve", ready="/healthz")
    return [
        *(namespace, *_prometheus_access()),
        *(_service(APP, NODE_PORT), _disruption_budget(APP), _deployment(APP, REPLICAS, container)),
    ]


def order_service(region: str, own: str, addresses: Mapping[str, str], passwords: Mapping[str, str]) -> list[Object]:
    """order-service of one region, in the order in which to apply its objects.

    `own` is the address of the region's own database, which its pods move
    events in while it is the primary; `addresses` (the primaries') and
    `passwords` are by store.
    """
    container = _container(ORDERS, region, "orders", ready="/readyz")
    container["env"].append({"name": "OWN_DATABASE", "value": own})
    container["volumeMounts"], volumes = _mounted(_STORES_VOLUMES)
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _STORES, "data": dict(addresses)},
        {"apiVersion": "v1", "kind": "Secret", "metadata": _STORES, "stringData": dict(passwords)},
        *(_service(ORDERS, ORDERS_NODE_PORT), _disruption_budget(ORDERS)),
        _deployment(ORDERS, ORDERS_REPLICAS, container, volumes),
    ]


def order_dumps(url: str, access_key: str, secret_key: str) -> list[Object]:
    """A pod that waits, and whose hook before a backup dumps the database of order-service to `url`, an S3 folder."""
    container = {
        "name": DUMPER,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": ["pause"],
        "env": [{"name": "DUMPS", "value": url}],
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": _CONFINED,
    }
    container["volumeMounts"], volumes = _mounted({**_STORES_VOLUMES, DUMPS: {"secret": {"secretName": DUMPS}}})
    hook = "pre.hook.backup.velero.io"
    annotations = {
        f"{hook}/container": DUMPER,
        f"{hook}/command": json.dumps(["/app", "dump"]),
        f"{hook}/on-error": "Fail",
        f"{hook}/timeout": "30s",
    }
    keys = {"access-key": access_key, "secret-key": secret_key}
    meta = {"name": DUMPS, "namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": keys},
        _deployment(DUMPER, 1, container, volumes, annotations),
    ]


def _mounted(sources: Mapping[str, Object]) -> tuple[list[Object], list[Object]]:
    """Mounts and volumes by name, each at /etc/NAME. Folders: files of their own (subPath) would never change."""
    mounts = [{"name": name, "mountPath": f"/etc/{name}", "readOnly": True} for name in sources]
    return mounts, [{"name": name, **source} for name, source in sources.items()]


def _deployment(
    name: str,
    replicas: int,
    container: Object,
    volumes: Sequence[Object] = (),
    annotations: Mapping[str, str] | None = None,
) -> Object:
    labels = {"app": name}
    pod = {
        "metadata": {"labels": labels, **({"annotations": dict(annotations)} if annotations else {})},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # Above the app's drain of 2 s and its limit of 2 s for what is still open.
            "terminationGracePeriodSeconds": 6,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": list(volumes),
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod},
    }


def _container(name: str, region: str, command: str, ready: str) -> Object:
    return {
        "name": name,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": [command],
        "env": [
            {"name": "REGION", "value": region},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "VERSION", "value": IMAGE.rpartition(":")[2]},
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": _probe(ready, period=1, failures=2),
        "livenessProbe": _probe("/livez", period=5, failures=3),
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"memory": "64Mi"},
        },
        "securityContext": _CONFINED,
    }


def _probe(path: str, period: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 1,
        "failureThreshold": failures,
    }


def _service(name: str, port: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {
            "type": "NodePort",
            "selector": {"app": name},
            "ports": [{"name": "http", "port": PORT, "targetPort": "http", "nodePort": port}],
        },
    }


def _disruption_budget(name: str) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}},
    }


def _prometheus_access() -> list[Object]:
    name = "blackstart-prometheus"
    role = {
        "apiVersion": _RBAC,
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [
            {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        ],
    }
    binding = {
        "apiVersion": _RBAC,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [
            {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": PROMETHEUS_USER},
        ],
    }
    return [role, binding]
