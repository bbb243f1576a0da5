"""What a region has on disk: certificates, kubeconfigs, configuration, data."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.lab import configs
from blackstart.lab.manifests import PROMETHEUS_USER
from blackstart.lab.metrics import MetricsTargets, prometheus_config
from blackstart.lab.parts import Parts
from blackstart.lab.pki import Authority, Pair
from blackstart.lab.topology import RegionNet

EDGE_ADMIN_PORT = 9901

_USERS: dict[str, tuple[str, list[str]]] = {
    "admin": ("blackstart-operator", ["system:masters"]),
    "kubelet-client": ("kube-apiserver", ["system:masters"]),
    "controller-manager": ("system:kube-controller-manager", ["system:masters"]),
    "scheduler": ("system:kube-scheduler", []),
    # Of the other regions' istiods, which only read.
    "istiod": ("blackstart-istiod", ["system:masters"]),
    "kube-proxy": ("system:kube-proxy", []),
    "prometheus": (PROMETHEUS_USER, []),
    "velero": ("velero", ["system:masters"]),
}
_API_NAMES = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]


@dataclass(frozen=True)
class RegionFiles:
    """The folder of one region."""

    folder: Path

    def pki(self, name: str) -> Pair:
        return Pair(self.folder / "pki" / f"{name}.crt", self.folder / "pki" / f"{name}.key")

    def kubeconfig(self, user: str = "admin") -> Path:
        return self.folder / ("kubeconfig" if user == "admin" else f"{user}.kubeconfig")

    @property
    def containerd_config(self) -> Path:
        return self.folder / "containerd.toml"

    @property
    def kubelet_config(self) -> Path:
        return self.folder / "kubelet.json"

    @property
    def kube_proxy_config(self) -> Path:
        return self.folder / "kube-proxy.json"

    @property
    def gateway_config(self) -> Path:
        return self.folder / "gateway.json"

    @property
    def prometheus_config(self) -> Path:
        return self.folder / "prometheus.json"


@dataclass(frozen=True)
class Hosts:
    """What a region must know of the rest of the lab.

    edge_admin: host:port at which the edge answers it. addresses: its own, at
    which other regions reach its API server. mesh, data, backup: whether
    there is a mesh, whether there are stores, and whether there is Velero.
    """

    edge_admin: str
    addresses: Sequence[str] = ()
    mesh: bool = False
    data: bool = False
    backup: bool = False


def write_region(files: RegionFiles, net: RegionNet, parts: Parts, cgroup: str, hosts: Hosts) -> None:
    """Write everything that the region's parts read, for a new cluster."""
    for name in ("containerd", "kubelet", "pods", "cni", "logs", "prometheus"):
        (files.folder / name).mkdir(parents=True, exist_ok=True)
    _write_pki(files, net, hosts.addresses)
    server = f"https://{net.address}:6443"
    for user in ("admin", "controller-manager", "scheduler", "kubelet", "kube-proxy", "velero"):
        config = configs.kubeconfig(net.name, server, files.pki("ca").cert, files.pki(user))
        _write(files.kubeconfig(user), config, 0o600)
    resolv = files.folder / "resolv.conf"
    resolv.touch()
    serving = files.pki("kubelet-server")
    sync = "1s" if hosts.data else "1m"  # a second: a promotion is a changed ConfigMap
    _write(files.kubelet_config, configs.kubelet(net, files.pki("ca").cert, serving, cgroup, resolv, sync=sync))
    _write(files.kube_proxy_config, configs.kube_proxy(net, files.kubeconfig("kube-proxy")))
    cni_folder = files.folder / "cni"
    (cni_folder / "10-pods.conflist").write_text(configs.cni(net))
    files.containerd_config.write_text(configs.containerd(parts.containerd_version, parts.cni, cni_folder))
    _write(files.prometheus_config, prometheus_config(net.name, metrics_targets(files, net, hosts)))


def _write_pki(files: RegionFiles, net: RegionNet, hosts: Sequence[str]) -> None:
    authority = Authority(files.folder / "pki", f"blackstart {net.name}")
    for name, (user, groups) in _USERS.items():
        authority.client(name, user, groups)
    authority.client("kubelet", f"system:node:{net.namespace}", ["system:nodes"])
    names = [*_API_NAMES, net.address, "127.0.0.1", net.api_service, *hosts]
    authority.server("api-server", "kube-apiserver", names)
    authority.server("kubelet-server", net.namespace, [net.namespace, net.address, "127.0.0.1"])
    authority.signing_key("service-account")


def metrics_targets(files: RegionFiles, net: RegionNet, hosts: Hosts | None = None) -> MetricsTargets:
    """Where the region's Prometheus looks."""
    client = files.pki("prometheus")
    return MetricsTargets(
        prometheus="127.0.0.1:9090",
        discovery="127.0.0.1:9091",
        api_server=f"{net.address}:6443",
        kubelet=f"{net.address}:10250",
        ca=files.pki("ca").cert,
        cert=client.cert,
        key=client.key,
        edge=hosts.edge_admin if hosts else None,
        mesh=bool(hosts and hosts.mesh),
        backup=bool(hosts and hosts.backup),
    )


def _write(path: Path, content: dict[str, Any], mode: int = 0o644) -> None:
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode), "w") as file:
        json.dump(content, file, indent=1)
