"""The mesh of a region: istiod (multi-primary) and an Envoy ingress gateway that it configures. Pure.

Envoy is the stock one, which has none of Istio's own filters; the settings
marked *stock* keep istiod from sending what it would refuse.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import yaml

from blackstart.lab import ports
from blackstart.lab.parts import Parts
from blackstart.lab.processes import Part
from blackstart.lab.regionfiles import RegionFiles
from blackstart.lab.topology import RegionNet

GATEWAY_UID = 1337
"""The gateway's own user, by which a fault can tell its traffic from everybody else's."""

_SYSTEM = "istio-system"
_GATEWAY = "istio-ingressgateway"

# A remote cluster that does not answer holds up istiod's start for this long; its own default is 30 s.
_REMOTE_TIMEOUT = "5s"

_ENVIRONMENT = {
    "PILOT_ENABLE_ALPN_FILTER": "false",  # stock
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",  # stock
    "PILOT_REMOTE_CLUSTER_TIMEOUT": _REMOTE_TIMEOUT,
    # No certificates, no injection, no admission: the lab's gateways are the only proxies.
    "ENABLE_CA_SERVER": "false",
    "PILOT_CERT_PROVIDER": "none",
    "INJECT_ENABLED": "false",
    "XDS_AUTH": "false",
    "VALIDATION_WEBHOOK_CONFIG_NAME": "",
    "INJECTION_WEBHOOK_CONFIG_NAME": "",
    "ENABLE_LEADER_ELECTION": "false",
    "PILOT_ENABLE_GATEWAY_API": "false",
    "POD_NAME": "istiod",
    "POD_NAMESPACE": _SYSTEM,
    "REVISION": "default",
    "GOMEMLIMIT": "400MiB",
}

Object = dict[str, Any]


def istiod(parts: Parts, files: RegionFiles, net: RegionNet) -> Part:
    """It reads its own cluster's rules, and the endpoints of every cluster that it has a remote secret for."""
    argv = [
        str(parts.built["istiod"]),
        "discovery",
        f"--kubeconfig={files.kubeconfig()}",
        f"--clusterID={net.name}",
        "--registries=Kubernetes",
        f"--namespace={_SYSTEM}",
        f"--httpAddr=127.0.0.1:{ports.ISTIOD}",
        f"--grpcAddr=127.0.0.1:{ports.XDS}",
        f"--monitoringAddr=127.0.0.1:{ports.ISTIOD_METRICS}",
        # Empty: none of these ports.
        "--httpsAddr=",
        "--secureGRPCAddr=",
        "--ctrlz_address=127.0.0.1",
        "--ctrlz_port=0",
        "--keepaliveMaxServerConnectionAge=24h",
    ]
    return Part("istiod", argv, _ENVIRONMENT)


def gateway(parts: Parts, config: Path) -> Part:
    """Under a user of its own; it may read the lab's files all the same."""
    argv = [
        *("setpriv", f"--reuid={GATEWAY_UID}", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
        *(str(parts.envoy), "-c", str(config), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warn"),
    ]
    return Part("gateway", argv)


def gateway_config(net: RegionNet) -> Object:
    """An Envoy bootstrap that asks the region's istiod for everything else (ADS)."""
    node = {
        "id": f"router~{net.address}~{_GATEWAY}-{net.name}.{_SYSTEM}~{_SYSTEM}.svc.cluster.local",
        "cluster": f"{_GATEWAY}.{_SYSTEM}",
        "locality": {"region": net.name, "zone": f"{net.name}-a"},
        "metadata": {
            "NAMESPACE": _SYSTEM,
            "CLUSTER_ID": net.name,
            "MESH_ID": "blackstart",
            "ISTIO_VERSION": "1.31.0",
            "INSTANCE_IPS": net.address,
            "WORKLOAD_NAME": _GATEWAY,
            # What the Gateway's selector matches.
            "LABELS": {"istio": "ingressgateway"},
        },
    }
    source = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    service = [{"envoy_grpc": {"cluster_name": "xds-grpc"}}]
    return {
        "node": node,
        "admin": {"address": _address("127.0.0.1", ports.GATEWAY_ADMIN)},
        "dynamic_resources": {
            "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "grpc_services": service},
            "cds_config": source,
            "lds_config": source,
        },
        "static_resources": {"clusters": [_xds_cluster()]},
        "stats_config": {
            "use_all_default_tags": False,
            # Istio ends the names of its clusters with a semicolon.
            "stats_tags": [
                {"tag_name": "cluster_name", "regex": r"^cluster(\.(.+);)"},
                {"tag_name": "zone_pair", "regex": r"zone(\.([^.]+\.[^.]+)\.)upstream"},
            ],
        },
    }


def _xds_cluster() -> Object:
    options = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": _address("127.0.0.1", ports.XDS)}}
    return {
        "name": "xds-grpc",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "xds-grpc", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        # HTTP/2 pings would be answered with "too many"; TCP notices a dead istiod as well.
        "upstream_connection_options": {"tcp_keepalive": {"keepalive_time": 10}},
    }


def _address(host: str, port: int) -> Object:
    return {"socket_address": {"address": host, "port_value": port}}


def system_objects() -> list[Object]:
    """Namespace and mesh configuration, which istiod reads when it starts."""
    config = {
        "enableAutoMtls": False,  # stock
        "defaultProviders": {},  # stock: no istio.stats
        "enableTracing": False,
        "enablePrometheusMerge": False,
        "connectTimeout": "1s",
        "defaultConfig": {
            "meshId": "blackstart",
            "discoveryAddress": f"127.0.0.1:{ports.XDS}",
            "controlPlaneAuthPolicy": "NONE",
        },
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _SYSTEM}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "istio", "namespace": _SYSTEM},
            "data": {"mesh": yaml.safe_dump(config), "meshNetworks": "networks: {}"},
        },
    ]


def remote_secret(name: str, server: str, files: RegionFiles) -> Object:
    """With this in its own cluster, an istiod finds the endpoints of region `name` at the API server `server`."""
    pair = files.pki("istiod")
    user = {"client-certificate-data": _base64(pair.cert), "client-key-data": _base64(pair.key)}
    cluster = {"server": server, "certificate-authority-data": _base64(files.pki("ca").cert)}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"istio-remote-secret-{name}",
            "namespace": _SYSTEM,
            "labels": {"istio/multiCluster": "true"},
        },
        "stringData": {name: json.dumps(kubeconfig)},
    }


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
