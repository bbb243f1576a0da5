"""The configuration of a region's Prometheus (written for 2.42, Debian 12's)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.lab.manifests import APP, NAMESPACE

_API_SERVER_SERIES = "up|apiserver_request_total|apiserver_current_inflight_requests|process_.*"
_KUBELET_SERIES = "kubelet_running_(pods|containers)|kubelet_node_name|process_.*"
_ENVOY_SERIES = "envoy_(cluster_(upstream_(rq|cx)|membership|health_check|zone)|http_downstream_(rq|cx)).*"

Job = dict[str, Any]


@dataclass(frozen=True)
class MetricsTargets:
    """Where a region's Prometheus looks. Addresses are host:port.

    `ca`, `cert` and `key` are PEM files: the region's CA and the client
    certificate of the user `manifests.PROMETHEUS_USER`.
    """

    prometheus: str
    api_server: str
    kubelet: str
    ca: Path
    cert: Path
    key: Path
    edge: str | None = None


def prometheus_config(region: str, targets: MetricsTargets) -> dict[str, Any]:
    """The configuration as a mapping; JSON of it is a valid prometheus.yml.

    External labels are not in the answers of a Prometheus's own API, so each
    series carries `region` as well: the region whose Prometheus scraped it.
    """
    jobs = [
        _static("prometheus", targets.prometheus),
        {**_static("kube-apiserver", targets.api_server), **_tls(targets), **_every_5s(_API_SERVER_SERIES)},
        {**_static("kubelet", targets.kubelet), **_kubelet_tls(targets), **_every_5s(_KUBELET_SERIES)},
        _pods(targets),
    ]
    if targets.edge:
        edge = {**_static("edge", targets.edge), "metrics_path": "/stats/prometheus"}
        jobs.append({**edge, "metric_relabel_configs": [_keep("__name__", _ENVOY_SERIES)]})
    return {
        "global": {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "external_labels": {"region": region, "replica": f"{region}-0"},
        },
        "scrape_configs": [_with_region(job, region) for job in jobs],
    }


def _static(name: str, target: str) -> Job:
    return {"job_name": name, "static_configs": [{"targets": [target]}]}


def _pods(targets: MetricsTargets) -> Job:
    """Every pod of the service by its own address, found through the region's API server."""
    discovery = {
        "role": "pod",
        "api_server": f"https://{targets.api_server}",
        "namespaces": {"names": [NAMESPACE]},
        "selectors": [{"role": "pod", "label": f"app={APP}"}],
        "tls_config": _tls(targets)["tls_config"],
    }
    return {
        "job_name": APP,
        "kubernetes_sd_configs": [discovery],
        "relabel_configs": [
            _keep("__meta_kubernetes_pod_container_port_name", "http"),
            # A finished pod keeps its address in the API for a while; another pod may have it by then.
            {**_keep("__meta_kubernetes_pod_phase", "Pending|Running")},
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        ],
    }


def _tls(targets: MetricsTargets) -> Job:
    files = {"ca_file": str(targets.ca), "cert_file": str(targets.cert), "key_file": str(targets.key)}
    return {"scheme": "https", "tls_config": files}


def _kubelet_tls(targets: MetricsTargets) -> Job:
    # A kubelet signs its own serving certificate; the client certificate still has to be right.
    files = {"cert_file": str(targets.cert), "key_file": str(targets.key), "insecure_skip_verify": True}
    return {"scheme": "https", "tls_config": files}


def _every_5s(series: str) -> Job:
    return {
        "scrape_interval": "5s",
        "scrape_timeout": "4s",
        "metric_relabel_configs": [_keep("__name__", series)],
    }


def _keep(label: str, pattern: str) -> dict[str, Any]:
    return {"source_labels": [label], "regex": pattern, "action": "keep"}


def _with_region(job: Job, region: str) -> Job:
    label = {"target_label": "region", "replacement": region}
    return {**job, "relabel_configs": [*job.get("relabel_configs", []), label]}
