"""The command lines of a region's parts. Pure."""

from __future__ import annotations

from pathlib import Path

from blackstart.lab.configs import NODE_GRACE
from blackstart.lab.metrics import discovery_command
from blackstart.lab.parts import Parts
from blackstart.lab.processes import Part
from blackstart.lab.regionfiles import RegionFiles, metrics_targets
from blackstart.lab.topology import RegionNet

_ETCD = "http://127.0.0.1:2379"

# Folders that containerd and kubelets of all regions share by default: each
# region's node has its own, in a mount namespace that dies with its processes.
EMPTY = ("/run/containerd", "/run/netns", "/var/lib/cni", "/var/log/containers")
BOUND = {"containerd": "/var/lib/containerd", "kubelet": "/var/lib/kubelet", "pods": "/var/log/pods"}

_NODE = """
umount -R -l /run/netns 2>/dev/null || true
for folder in {empty}; do mount -t tmpfs -o mode=755 blackstart $folder; done
{binds}
exec "$@"
"""


def etcd(parts: Parts, files: RegionFiles) -> Part:
    """Without fsync: it survives the end of its process, not of the machine."""
    argv = [
        str(parts.built["etcd"]),
        "--name=blackstart",
        f"--data-dir={files.folder / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=blackstart=http://127.0.0.1:2380",
        "--log-level=warn",
    ]
    return Part("etcd", argv)


def api_server(parts: Parts, files: RegionFiles, net: RegionNet) -> Part:
    pki = files.pki
    argv = [
        str(parts.built["kube-apiserver"]),
        f"--etcd-servers={_ETCD}",
        f"--advertise-address={net.address}",
        f"--service-cluster-ip-range={net.services}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        f"--client-ca-file={pki('ca').cert}",
        f"--tls-cert-file={pki('api-server').cert}",
        f"--tls-private-key-file={pki('api-server').key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki('service-account').cert}",
        f"--service-account-signing-key-file={pki('service-account').key}",
        f"--kubelet-client-certificate={pki('kubelet-client').cert}",
        f"--kubelet-client-key={pki('kubelet-client').key}",
        "--kubelet-preferred-address-types=InternalIP",
    ]
    return Part("kube-apiserver", argv)


def controller_manager(parts: Parts, files: RegionFiles) -> Part:
    """Quicker than Kubernetes' defaults to notice a lost node.

    One identity for all controllers: an account for each of them costs
    seconds at every start.
    """
    pki = files.pki
    argv = [
        str(parts.built["kube-controller-manager"]),
        f"--kubeconfig={files.kubeconfig('controller-manager')}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        f"--service-account-private-key-file={pki('service-account').key}",
        f"--root-ca-file={pki('ca').cert}",
        f"--cluster-signing-cert-file={pki('ca').cert}",
        f"--cluster-signing-key-file={pki('ca').key}",
        "--node-monitor-period=1s",
        f"--node-monitor-grace-period={NODE_GRACE}s",
    ]
    return Part("kube-controller-manager", argv)


def scheduler(parts: Parts, files: RegionFiles) -> Part:
    argv = [
        str(parts.built["kube-scheduler"]),
        f"--kubeconfig={files.kubeconfig('scheduler')}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]
    return Part("kube-scheduler", argv)


def containerd(parts: Parts, files: RegionFiles) -> Part:
    """It also makes the node's mount namespace, which the kubelet joins."""
    binds = "\n".join(f"mount --bind '{files.folder / name}' {to}" for name, to in BOUND.items())
    script = _NODE.format(empty=" ".join(EMPTY), binds=binds)
    argv = [
        *("unshare", "--mount", "--propagation=private", "/bin/sh", "-ec", script, "node"),
        *(str(parts.containerd), f"--config={files.containerd_config}", "--log-level=warn"),
    ]
    return Part("containerd", argv)


def kubelet(parts: Parts, files: RegionFiles, net: RegionNet, node: int) -> Part:
    """`node` is containerd's pid."""
    labels = f"topology.kubernetes.io/region={net.name},topology.kubernetes.io/zone={net.name}-a"
    argv = [
        *("nsenter", f"--mount=/proc/{node}/ns/mnt", "--"),
        str(parts.built["kubelet"]),
        f"--config={files.kubelet_config}",
        f"--kubeconfig={files.kubeconfig('kubelet')}",
        f"--hostname-override={net.namespace}",
        f"--node-ip={net.address}",
        f"--node-labels={labels}",
    ]
    return Part("kubelet", argv)


def kube_proxy(parts: Parts, files: RegionFiles) -> Part:
    return Part("kube-proxy", [str(parts.built["kube-proxy"]), f"--config={files.kube_proxy_config}"])


def prometheus(parts: Parts, files: RegionFiles) -> Part:
    argv = [
        str(parts.prometheus),
        f"--config.file={files.prometheus_config}",
        f"--storage.tsdb.path={files.folder / 'prometheus'}",
        "--storage.tsdb.retention.time=6h",
        "--web.listen-address=0.0.0.0:9090",
        "--log.level=warn",
    ]
    return Part("prometheus", argv)


def discovery(parts: Parts, files: RegionFiles, net: RegionNet) -> Part:
    """Finds the pods for Prometheus."""
    return Part("discovery", discovery_command(parts.built["app"], metrics_targets(files, net)))


def envoy(parts: Parts, config: Path) -> Part:
    argv = [str(parts.envoy), "-c", str(config), "--disable-hot-restart", "--concurrency", "1"]
    return Part("envoy", [*argv, "--log-level", "warn"])
