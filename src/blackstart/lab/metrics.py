"""The configuration of a region's Prometheus (written for 2.42, Debian 12's).

Debian's Prometheus knows no Kubernetes discovery; the lab's app finds the pods
for it (`discovery_command`), one such process beside each Prometheus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.lab import ports
from blackstart.lab.manifests import APP, NAMESPACE, PORT

_API_SERVER_SERIES = "apiserver_request_total|apiserver_current_inflight_requests|process_.*"
_KUBELET_SERIES = "kubelet_running_(pods|containers)|kubelet_node_name|process_.*"
# Histograms by region would be most of what the edge has to say, so only the ones of all traffic are kept.
_ENVOY_SERIES = (
    "envoy_cluster_zone_upstream_rq(_completed|_xx)?",
    "envoy_cluster_(membership|health_check)_.*",
    "envoy_cluster_upstream_rq_(total|xx|retry.*|timeout|per_try_timeout|time_.*|pending_active)",
    "envoy_cluster_upstream_cx_(active|connect_fail|connect_timeout)",
    "envoy_http_downstream_(rq_(total|xx|time_.*|active|timeout)|cx_(total|active))",
)

_GATEWAY_SERIES = (
    "envoy_cluster_membership_.*",
    "envoy_cluster_outlier_detection_.*",
    "envoy_cluster_zone_.*upstream_rq.*",
    "envoy_cluster_upstream_rq_(total|xx|retry.*|timeout|per_try_timeout)",
    "envoy_cluster_upstream_cx_(active|connect_fail|connect_timeout)",
    "envoy_cluster_lb_healthy_panic",
)
_ISTIOD_SERIES = ("pilot_(total_xds_rejects|xds_pushes|xds)", "istiod_managed_clusters", "istiod_remote_cluster_.*")

Job = dict[str, Any]


@dataclass(frozen=True)
class MetricsTargets:
    """Where a region's Prometheus looks. Addresses are host:port.

    `prometheus` is its own; `discovery` that of the process which finds pods.
    `ca`, `cert` and `key` are PEM files: the region's CA and the client
    certificate of the user `manifests.PROMETHEUS_USER`. `mesh`: whether istiod
    and an ingress gateway run beside it; `backup`: whether Velero does.
    """

    prometheus: str
    discovery: str
    api_server: str
    kubelet: str
    ca: Path
    cert: Path
    key: Path
    edge: str | None = None
    mesh: bool = False
    backup: bool = False


def prometheus_config(region: str, targets: MetricsTargets) -> dict[str, Any]:
    """The configuration as a mapping; JSON of it is a valid prometheus.yml.

    External labels are not in the answers of a Prometheus's own API, so each
    series carries `region` as well: the region whose Prometheus scraped it.
    """
    jobs = [
        _static("prometheus", targets.prometheus),
        {**_static("kube-apiserver", targets.api_server), **_every_5s(_API_SERVER_SERIES)}
        | _tls(targets, ca_file=str(targets.ca)),
        # A kubelet may sign its own serving certificate (kind's does); the client's still has to be right.
        {**_static("kubelet", targets.kubelet), **_every_5s(_KUBELET_SERIES)}
        | _tls(targets, insecure_skip_verify=True),
        {
            "job_name": APP,
            "http_sd_configs": [{"url": f"http://{targets.discovery}/", "refresh_interval": "1s"}],
        },
    ]
    if targets.edge:
        jobs.append(
            {
                **_static("edge", targets.edge),
                "metrics_path": "/stats/prometheus",
                "metric_relabel_configs": [_keep("|".join(_ENVOY_SERIES))],
            }
        )
    if targets.mesh:
        jobs += _mesh_jobs()
    if targets.backup:
        velero = _static("velero", f"127.0.0.1:{ports.VELERO_METRICS}")
        jobs.append({**velero, "metric_relabel_configs": [_keep("velero_.*")]})
    return {
        "global": {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "external_labels": {"region": region, "replica": f"{region}-0"},
        },
        "scrape_configs": [
            {**job, "relabel_configs": [{"target_label": "region", "replacement": region}]} for job in jobs
        ],
    }


def discovery_command(app: Path, targets: MetricsTargets) -> list[str]:
    """The command that answers on `targets.discovery`, to be run where Prometheus runs; `app` is lab/app built."""
    pods = f"https://{targets.api_server}/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3D{APP}"
    return [
        *(str(app), "discover", "-listen", targets.discovery, "-pods", pods, "-port", str(PORT)),
        *("-ca", str(targets.ca), "-cert", str(targets.cert), "-key", str(targets.key)),
    ]


def _mesh_jobs() -> list[Job]:
    gateway = {
        **_static("gateway", f"127.0.0.1:{ports.GATEWAY_ADMIN}"),
        "metrics_path": "/stats/prometheus",
        "metric_relabel_configs": [_keep("|".join(_GATEWAY_SERIES))],
    }
    istiod = {
        **_static("istiod", f"127.0.0.1:{ports.ISTIOD_METRICS}"),
        "metric_relabel_configs": [_keep("|".join(_ISTIOD_SERIES))],
    }
    return [gateway, istiod]


def _static(name: str, target: str) -> Job:
    return {"job_name": name, "static_configs": [{"targets": [target]}]}


def _tls(targets: MetricsTargets, **server: object) -> Job:
    client = {"cert_file": str(targets.cert), "key_file": str(targets.key)}
    return {"scheme": "https", "tls_config": {**client, **server}}


def _every_5s(series: str) -> Job:
    return {"scrape_interval": "5s", "scrape_timeout": "4s", "metric_relabel_configs": [_keep(series)]}


def _keep(names: str) -> dict[str, Any]:
    return {"source_labels": ["__name__"], "regex": names, "action": "keep"}
