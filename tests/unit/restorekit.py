"""Backups as Velero writes them, a bucket in memory, and a Velero that restores into a KubeApi."""

from __future__ import annotations

import copy
import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from kubeapi import KubeApi

from blackstart.fleet.backups import Bucket, Listing
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet

Json = dict[str, Any]

VELERO = "velero"
DIGEST = "sha256:" + "a" * 64
RESOURCES = {
    "configmaps": ("v1", "ConfigMap"),
    "secrets": ("v1", "Secret"),
    "services": ("v1", "Service"),
    "pods": ("v1", "Pod"),
    "namespaces": ("v1", "Namespace"),
    "persistentvolumeclaims": ("v1", "PersistentVolumeClaim"),
    "deployments.apps": ("apps/v1", "Deployment"),
    "replicasets.apps": ("apps/v1", "ReplicaSet"),
    "rolebindings.rbac.authorization.k8s.io": ("rbac.authorization.k8s.io/v1", "RoleBinding"),
}


def an_object(kind: str, name: str, namespace: str = "production", **content: Any) -> Json:
    """An object of a cluster, with all that a cluster gives it."""
    version, word = RESOURCES[kind]
    meta = {
        "name": name,
        "uid": f"uid-of-{name}",
        "resourceVersion": "17",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    if namespace:
        meta["namespace"] = namespace
    return {"apiVersion": version, "kind": word, "metadata": {**meta, **content.pop("meta", {})}, **content}


def production() -> list[tuple[str, Json]]:
    """A namespace with a Deployment, its pod, and what it needs."""
    labels = {"app": "web"}
    owner = {"kind": "ReplicaSet", "name": "web-1", "uid": "uid-of-web-1", "controller": True}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web:v1"}]}}
    status = {"containerStatuses": [{"name": "web", "imageID": DIGEST}]}
    ports = [{"name": "http", "port": 80, "targetPort": "http", "nodePort": 30080}]
    service = {"type": "NodePort", "clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "selector": labels}
    return [
        ("namespaces", an_object("namespaces", "production", "", meta={"labels": {"team": "shop"}})),
        ("configmaps", an_object("configmaps", "kube-root-ca.crt", data={"ca.crt": "theirs"})),
        ("configmaps", an_object("configmaps", "settings", data={"mode": "fast"})),
        ("secrets", an_object("secrets", "login", type="Opaque", data={"password": "aHVudGVyMg=="})),
        ("services", an_object("services", "web", spec={**service, "ports": ports})),
        (
            "deployments.apps",
            an_object(
                "deployments.apps",
                "web",
                spec={"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
                status={"replicas": 1},
            ),
        ),
        (
            "pods",
            an_object("pods", "web-1-x", meta={"ownerReferences": [owner]}, spec=template["spec"], status=status),
        ),
    ]


def tarball(objects: Iterable[tuple[str, Json]]) -> bytes:
    """What `velero backup create` puts into the bucket: each object once, and again under its version."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        _add(tar, "metadata/version", b"1.1.0\n")
        for kind, body in objects:
            namespace = body["metadata"].get("namespace")
            where = f"namespaces/{namespace}" if namespace else "cluster"
            for folder in (f"resources/{kind}", f"resources/{kind}/v1-preferredversion"):
                _add(tar, f"{folder}/{where}/{body['metadata']['name']}.json", json.dumps(body).encode())
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def zipped(value: Any) -> bytes:
    """JSON as Velero keeps it."""
    return gzip.compress(json.dumps(value).encode())


ROOT = "could not restore, ConfigMap:kube-root-ca.crt already exists. Warning: the in-cluster version differs"


class MemoryBucket:
    """The bucket of backups, and that of dumps with the times of its objects; `away` makes every question fail."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.dumps: dict[str, tuple[datetime, bytes]] = {}
        self.away = False

    def listing(self, fleet: Fleet, bucket: Bucket, prefix: str) -> list[Listing]:
        found = {key: of for key, of in self.dumps.items() if key.startswith(prefix)}
        return [Listing(key, written, len(body)) for key, (written, body) in found.items()]

    @contextmanager
    def opened(self, fleet: Fleet, bucket: Bucket, key: str, deadline: float) -> Iterator[Iterator[bytes]]:
        assert deadline > 0
        yield iter([self.dumps[key][1]])

    def fetch(self, fleet: Fleet, key: str) -> bytes | None:
        if self.away:
            raise FleetError("the bucket does not answer: connection refused")
        return self.content.get(key)

    def put(
        self,
        name: str,
        objects: list[tuple[str, Json]],
        *,
        at: str = "2026-01-01T00:00:00Z",
        phase: str = "Completed",
        labels: Json | None = None,
        namespaces: Iterable[str] = ("production",),
    ) -> None:
        """A backup as it lies in a bucket."""
        metadata = {"name": name, "namespace": VELERO, "labels": labels or {}}
        status = {"phase": phase, "startTimestamp": at, "completionTimestamp": at}
        spec = {"includedNamespaces": list(namespaces), "storageLocation": "default"}
        body = {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": metadata, "spec": spec, "status": status}
        self.content[f"backups/{name}/velero-backup.json"] = json.dumps(body).encode()
        self.content[f"backups/{name}/{name}.tar.gz"] = tarball(objects)


class FakeVelero:
    """Restores when a Restore is made, as far as tests need it; `spoil` may change what it does."""

    def __init__(self, api: KubeApi, bucket: MemoryBucket, objects: list[tuple[str, Json]]) -> None:
        self.api, self.bucket, self.objects = api, bucket, objects
        self.phase, self.errors, self.warnings = (
            "Completed",
            list[str](),
            [ROOT],
        )
        self.skip: Callable[[str, Json], bool] = lambda kind, body: False
        self.spoil: Callable[[str, Json], None] = lambda kind, body: None
        self.elsewhere = ""
        self.restores: list[Json] = []
        self.finalizer = True
        api.on_create = self.created

    def created(self, made: Json) -> None:
        if made.get("kind") != "Restore":
            return
        self.restores.append(made)
        spec, lines = made["spec"], dict[str, list[str]]()
        for kind, body in self.objects:
            old = body["metadata"].get("namespace")
            if old is None or kind in spec.get("excludedResources", []) or self.skip(kind, body):
                continue
            new = self.elsewhere or spec["namespaceMapping"].get(old, old)
            lines.setdefault(f"v1/{kind}", []).append(f"{new}/{body['metadata']['name']}(created)")
            self._make(kind, new, body, made["metadata"]["name"])
        name = made["metadata"]["name"]
        self.bucket.content[f"restores/{name}/restore-{name}-resource-list.json.gz"] = zipped(lines)
        said = {"errors": {"velero": self.errors}, "warnings": {"namespaces": {"production-dr": self.warnings}}}
        self.bucket.content[f"restores/{name}/restore-{name}-results.gz"] = zipped(said)
        made["status"] = {"phase": self.phase, "warnings": len(self.warnings), "errors": len(self.errors)}

    def _make(self, kind: str, namespace: str, body: Json, restore: str) -> None:
        found = copy.deepcopy(body)
        meta = found["metadata"]
        meta |= {"namespace": namespace, "uid": f"uid-new-{meta['name']}", "resourceVersion": "1"}
        meta["labels"] = {**(meta.get("labels") or {}), "velero.io/restore-name": restore}
        if kind == "services":
            found["spec"] |= {"clusterIP": "10.1.0.9", "clusterIPs": ["10.1.0.9"]}
            found["spec"]["ports"][0]["nodePort"] = 31234
        if kind == "deployments.apps":
            meta["generation"] = 1
            found["status"] = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
        self.spoil(kind, found)
        group = f"apis/{body['apiVersion']}" if "/" in body["apiVersion"] else f"api/{body['apiVersion']}"
        self.api.objects[f"/{group}/namespaces/{namespace}/{kind.partition('.')[0]}/{meta['name']}"] = found
