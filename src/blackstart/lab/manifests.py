"""The Kubernetes objects of the demo: user-service in namespace production, and what Prometheus may read."""

from __future__ import annotations

from typing import Any

NAMESPACE = "production"
APP = "user-service"
IMAGE = "blackstart.local/user-service:v1"
REPLICAS = 3
PORT = 8080
NODE_PORT = 30080
PROMETHEUS_USER = "prometheus"
"""The CN of the client certificate with which a region's Prometheus scrapes."""

Object = dict[str, Any]

_LABELS = {"app": APP}
_RBAC = "rbac.authorization.k8s.io/v1"


def demo(region: str) -> list[Object]:
    """The objects of one region's demo, in the order in which to apply them."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    return [namespace, *_prometheus_access(), _service(), _disruption_budget(), _deployment(region)]


def _deployment(region: str) -> Object:
    pod = {
        "metadata": {"labels": _LABELS},
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
            "containers": [_container(region)],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": APP, "namespace": NAMESPACE, "labels": _LABELS},
        "spec": {"replicas": REPLICAS, "selector": {"matchLabels": _LABELS}, "template": pod},
    }


def _container(region: str) -> Object:
    return {
        "name": APP,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": ["serve"],
        "env": [
            {"name": "REGION", "value": region},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "VERSION", "value": IMAGE.rpartition(":")[2]},
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": _probe("/healthz", period=1, failures=2),
        "livenessProbe": _probe("/livez", period=5, failures=3),
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"memory": "64Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _probe(path: str, period: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 1,
        "failureThreshold": failures,
    }


def _service() -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": APP, "namespace": NAMESPACE, "labels": _LABELS},
        "spec": {
            "type": "NodePort",
            "selector": _LABELS,
            "ports": [{"name": "http", "port": PORT, "targetPort": "http", "nodePort": NODE_PORT}],
        },
    }


def _disruption_budget() -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": APP, "namespace": NAMESPACE},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _LABELS}},
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
