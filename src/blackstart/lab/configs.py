"""The configuration files of a region's parts, as text or mappings. Pure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from blackstart.lab.pki import Pair
from blackstart.lab.topology import RegionNet

PAUSE_IMAGE = "blackstart.local/pause:v1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
"""Inside a node's own mount namespace."""
NODE_GRACE = 8
"""Seconds of silence after which a node counts as lost; Kubernetes' own default is 50."""

Config = dict[str, Any]


def kubeconfig(name: str, server: str, ca: Path, client: Pair) -> Config:
    """A kubeconfig with one context, `name`; the certificates stay where they are."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority": str(ca)}}],
        "users": [
            {
                "name": name,
                "user": {"client-certificate": str(client.cert), "client-key": str(client.key)},
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def containerd(version: tuple[int, int], cni_bin: Path, cni_conf: Path) -> str:
    """config.toml: format 2 for containerd 1.x, format 3 (other plug-in names) from 2.0 on.

    The kubelet uses cgroupfs on either version of cgroups, so that everything
    of a region lies below one group.
    """
    if version >= (2, 0):
        format_, images, runtime = 3, "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"
        pause = f'[plugins."{images}".pinned_images]\n  sandbox = "{PAUSE_IMAGE}"\n'
        sandbox = ""
    else:
        format_, runtime = 2, "io.containerd.grpc.v1.cri"
        pause, sandbox = "", f'  sandbox_image = "{PAUSE_IMAGE}"\n'
    return (
        f"version = {format_}\n"
        'root = "/var/lib/containerd"\nstate = "/run/containerd"\n'
        f'[grpc]\n  address = "{CONTAINERD_SOCKET}"\n'
        f'{pause}[plugins."{runtime}"]\n{sandbox}'
        "  restrict_oom_score_adj = true\n  disable_apparmor = true\n"
        f'[plugins."{runtime}".cni]\n  bin_dir = "{cni_bin}"\n  conf_dir = "{cni_conf}"\n'
        f'[plugins."{runtime}".containerd.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n'
        f'[plugins."{runtime}".containerd.runtimes.runc.options]\n  SystemdCgroup = false\n'
    )


def cni(region: RegionNet) -> str:
    """A routed pair of interfaces for each pod: no bridge, so service addresses work among neighbours."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": region.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/var/lib/cni/addresses",
    }
    plugins = [{"type": "ptp", "ipam": ipam}]
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}, indent=1)


def kubelet(region: RegionNet, ca: Path, serving: Pair, cgroup: str, resolv: Path, *, sync: str = "1m") -> Config:
    """KubeletConfiguration; `cgroup` is the group that holds the pods' own.

    `sync`: how often it looks at each pod, which is when a changed ConfigMap
    reaches the files in it; Kubernetes' own default is a minute.
    """
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(ca)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.cert),
        "tlsPrivateKeyFile": str(serving.key),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "resolvConf": str(resolv),
        "syncFrequency": sync,
        "nodeStatusUpdateFrequency": "2s",
        "nodeLeaseDurationSeconds": 6,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
    }


def kube_proxy(region: RegionNet, kubeconfig_file: Path) -> Config:
    """KubeProxyConfiguration: nftables; node ports answer on every link."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig_file)},
        "clusterCIDR": region.pods,
        "hostnameOverride": region.namespace,
        "nodePortAddresses": ["198.18.0.0/15"],
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # The limits of the machine's connection tracking are not ours to change.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "nftables": {"syncPeriod": "30s", "minSyncPeriod": "0s"},
    }
