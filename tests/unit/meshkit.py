"""A mesh for tests, from YAML."""

from __future__ import annotations

import textwrap
from pathlib import Path

from blackstart.plan.mesh.check import Source
from blackstart.plan.mesh.files import read_files
from blackstart.plan.mesh.model import Said

RULE = """
    apiVersion: networking.istio.io/v1
    kind: DestinationRule
    metadata: {name: users, namespace: production}
    spec:
      host: users
      trafficPolicy:
        connectionPool: {tcp: {connectTimeout: 500ms}}
        outlierDetection: {interval: 1s, baseEjectionTime: 5s, maxEjectionPercent: %s}
        loadBalancer: {localityLbSetting: {failover: [{from: us, to: eu}, {from: eu, to: us}]}}
    ---
    """
DEPLOYMENT = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: %s, namespace: production}
    spec:
      replicas: %s
      template: {metadata: {labels: {app: %s}}}
    ---
    """
SERVICE = """
    apiVersion: v1
    kind: Service
    metadata: {name: users, namespace: production}
    spec: {selector: {app: %s}}
    ---
    """
NODE = """
    apiVersion: v1
    kind: Node
    metadata: {name: %s, labels: {topology.kubernetes.io/region: %s}}
    ---
    """


def read(folder: Path, said: Said = Said(), **clusters: str) -> Source:  # noqa: B008 - frozen
    """What is read from one folder for each cluster."""
    for name, text in clusters.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "mesh.yaml").write_text(textwrap.dedent(text))
    return read_files([folder], said)
