"""The backups of a native lab in its fleet.yaml. Pure."""

from __future__ import annotations

from typing import Any

from blackstart.lab import logins, ports
from blackstart.lab.backup import BUCKET, DUMPS, LOCATION, VELERO
from blackstart.lab.paths import LabPaths
from blackstart.lab.powerfile import power
from blackstart.lab.topology import STORE, Member

Node = dict[str, Any]


def velero_node(region: str, paths: LabPaths) -> Node:
    """A region's Velero."""
    return {"velero": {"namespace": VELERO, "location": LOCATION, "power": power(region, paths, VELERO)}}


def backups_node(store: Member, paths: LabPaths) -> Node:
    """The buckets: the operator asks over the management network, which no cut of a link takes away."""
    access, secret = logins.bucket_files(paths)
    server = {
        "url": f"http://{store.address}:{ports.S3}",
        "place": "operator",
        "access_key": f"${{file:{access}}}",
        "secret_key": f"${{file:{secret}}}",
    }
    return {
        "backups": {**server, "bucket": BUCKET, "power": power(STORE, paths)},
        "dumps": {**server, "bucket": DUMPS},
    }
