"""Backups of a lab: Velero in each region, one bucket outside all of them. Objects and command lines.

The first region's Velero writes, the others' read only. The bucket is reached
over a link of its own from each region, so that it can be lost to one alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.lab import ports
from blackstart.lab.manifests import APP, IMAGE, NAMESPACE, order_dumps
from blackstart.lab.parts import Parts
from blackstart.lab.processes import Part
from blackstart.lab.topology import STORE, Topology

VELERO = "velero"
"""Velero's namespace, and the name of its part in a region."""
BUCKET, DUMPS = "backups", "dumps"
"""Velero takes nothing but its own folders in a bucket: dumps have one of their own."""
LOCATION = "default"
SCHEDULE = "production"
CRON = "0 * * * *"
EXCLUDED = (
    # Made anew by controllers: with them a backup takes five times as long, and restored pods come twice.
    "pods",
    "replicasets.apps",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "events",
    "events.events.k8s.io",
)
SETTINGS = f"{APP}-settings"
"""A ConfigMap and a Secret of the demo, which only backups need."""

_API = "velero.io/v1"
_REGION = "us-east-1"

Object = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """One region's part: `url` of the S3 server over the region's own link, and whether it may write there."""

    region: str
    url: str
    writes: bool


def sites(net: Topology) -> dict[str, Site]:
    """The sites of a lab with a bucket, by region, the one that writes first."""
    found = {}
    for region in net.regions:
        address = net.wires[f"{STORE}-{region.name}"].end_of(STORE).address
        found[region.name] = Site(region.name, f"http://{address}:{ports.S3}", writes=region == net.regions[0])
    return found


def system_objects(site: Site) -> list[Object]:
    """What a region's Velero needs, and what it is to do, in the order in which to apply it."""
    location = {
        "provider": "aws",
        "default": True,
        "accessMode": "ReadWrite" if site.writes else "ReadOnly",
        "objectStorage": {"bucket": BUCKET},
        "config": {
            "region": _REGION,
            "s3ForcePathStyle": "true",
            "s3Url": site.url,
            "checksumAlgorithm": "",
        },
    }
    found = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": VELERO}},
        _stub(),
        _velero("BackupStorageLocation", LOCATION, location),
    ]
    if site.writes:
        found.append(_velero("Schedule", SCHEDULE, {"schedule": CRON, "template": _template()}))
    return found


def first_backup(name: str) -> Object:
    """A backup as `velero backup create --from-schedule` makes it: nobody needs to wait for the hour."""
    return _velero("Backup", name, _template(), {"velero.io/schedule-name": SCHEDULE})


def content() -> list[Object]:
    """What the demo has besides workloads, so that a restore has something to prove."""
    meta = {"name": SETTINGS, "namespace": NAMESPACE}
    root = {
        "name": "kube-root-ca.crt",
        "namespace": NAMESPACE,
        # Every cluster has its own, and every namespace gets it: restored it would only be a warning.
        "labels": {"velero.io/exclude-from-backup": "true"},
    }
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": root},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"greeting": "hello", "limit": "100"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"token": secrets.token_hex(16)}},
    ]


def dumps(site: Site, access_key: str, secret_key: str) -> list[Object]:
    """What dumps the database of order-service when it is backed up with its pods."""
    return order_dumps(f"{site.url}/{DUMPS}/orders", access_key, secret_key)


def _template() -> Object:
    return {
        "includedNamespaces": [NAMESPACE],
        "excludedResources": list(EXCLUDED),
        "storageLocation": LOCATION,
        "snapshotVolumes": False,
        "ttl": "24h0m0s",
    }


def _stub() -> Object:
    """Velero looks up its own Deployment at every restore, and restores nothing where there is none."""
    labels = {"component": VELERO}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": VELERO, "image": IMAGE}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": VELERO, "namespace": VELERO},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod},
    }


def _velero(kind: str, name: str, spec: Object, labels: Mapping[str, str] | None = None) -> Object:
    meta = {"name": name, "namespace": VELERO, **({"labels": dict(labels)} if labels else {})}
    return {"apiVersion": _API, "kind": kind, "metadata": meta, "spec": spec}


def credentials(access_key: str, secret_key: str) -> str:
    """The file with which Velero logs in."""
    return f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"


def server(parts: Parts, kubeconfig: Path, folder: Path) -> Part:
    """Velero's server, looking at its bucket every 10 s; `folder` holds its credentials and temporary files."""
    argv = [
        *(str(parts.built["velero"]), "server", f"--kubeconfig={kubeconfig}"),
        f"--plugin-dir={parts.built['velero-plugin-for-aws'].parent}",
        f"--metrics-address=127.0.0.1:{ports.VELERO_METRICS}",
        "--profiler-address=",
        "--backup-sync-period=10s",
        "--store-validation-frequency=10s",
        "--log-format=json",
    ]
    env = {
        "VELERO_NAMESPACE": VELERO,
        "TMPDIR": str(folder / "tmp"),
        "HOME": str(folder),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
    }
    return Part(VELERO, argv, env)


def bucket(parts: Parts, folder: Path, access_key: str, secret_key: str) -> Part:
    """The S3 server of a folder: each folder in `data` is a bucket. Its keys are in no command line."""
    argv = [
        *(str(parts.rclone), "serve", "s3", "--addr", f"0.0.0.0:{ports.S3}"),  # in a namespace of its own
        # By default it would show for 5 minutes what is no longer on the disk.
        *("--vfs-cache-mode", "off", "--dir-cache-time", "1s", str(folder / "data")),
    ]
    env = {
        "RCLONE_AUTH_KEY": f'"{access_key},{secret_key}"',
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CACHE_DIR": str(folder / "cache"),
        "HOME": str(folder),
    }
    return Part("rclone", argv, env)
