"""What a region's cluster still lacks to be back."""

from __future__ import annotations

from blackstart.lab.api import Api, Request, ask, node_ready, unsettled
from blackstart.lab.manifests import APP, NODE_PORT


def missing(api: Api, stale: frozenset[str]) -> str:
    """In words, empty when nothing is; pods with containers in `stale` do not count."""
    nodes = api.items("/api/v1/nodes")
    deployments = api.items("/apis/apps/v1/deployments")
    pods = api.items("/api/v1/pods")
    if nodes is None or deployments is None or pods is None:
        return "the API server's answer"
    if not node_ready(nodes):
        return "a Ready node"
    if found := unsettled(deployments, pods, stale):
        return ", ".join(found)
    serving = any(d["metadata"]["name"] == APP and d["spec"]["replicas"] for d in deployments)
    return f"an answer from {APP}'s node port" if serving and not _serves(api) else ""


def _serves(api: Api) -> bool:
    """Whether the node port answers; kube-proxy learns of new pods a moment after the API server."""
    try:
        return ask(api.place, (api.host, NODE_PORT), Request("GET", "/healthz"), 1.0)[0] == 200
    except OSError:
        return False
