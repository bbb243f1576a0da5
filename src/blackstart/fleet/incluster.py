"""The cluster that this process runs in as a pod, with its service account."""

from __future__ import annotations

import json
import os
from pathlib import Path

from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Cluster

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class InCluster(Cluster):
    """A pod's own cluster. Its service account is no good anywhere else, so its identity needs no check."""


def in_cluster(uid: str, folder: Path) -> InCluster:
    """The cluster of this pod; writes a kubeconfig without secrets into `folder`. Raises FleetError elsewhere."""
    try:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    except KeyError as error:
        raise FleetError(f"{error.args[0]} is not set: this is meant to run in a pod") from error
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "here", "cluster": {"server": server, "certificate-authority": str(_ACCOUNT / "ca.crt")}}
        ],
        "users": [{"name": "here", "user": {"tokenFile": str(_ACCOUNT / "token")}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return InCluster(kubeconfig=path, context="here", uid=uid)
