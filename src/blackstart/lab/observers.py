"""What Thanos and a Prometheus that federates are told: command lines and configuration. Pure.

The querier knows its stores as strict ones: a loose one that is lost vanishes
from its answers without a warning. Its heartbeats are short, so that a store
that hangs is known within seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blackstart.lab import ports
from blackstart.lab.parts import Parts
from blackstart.lab.processes import Part

PROMETHEUS, SIDECAR, QUERIER, FEDERATION = "prometheus", "sidecar", "querier", "federation"

_ANYWHERE = "0.0.0.0"  # noqa: S104 - in a namespace of its own


def federation_job(region: str) -> str:
    """The job that scrapes a region's Prometheus. Each has its own: with honor_labels `up` has no region."""
    return f"federate-{region}"


def sidecar(parts: Parts, tsdb: Path) -> Part:
    """Beside a region's Prometheus; `tsdb` is that one's data."""
    argv = [
        *(str(parts.built["thanos"]), "sidecar", "--log.level=warn"),
        f"--prometheus.url=http://127.0.0.1:{ports.PROMETHEUS}",
        "--prometheus.get_config_interval=5s",
        "--prometheus.get_config_timeout=3s",
        f"--tsdb.path={tsdb}",
        f"--grpc-address={_ANYWHERE}:{ports.STORE_API}",
        f"--http-address={_ANYWHERE}:{ports.SIDECAR}",
    ]
    return Part(SIDECAR, argv)


def querier(parts: Parts, stores: Path) -> Part:
    """`stores` is the file of `stores_config`."""
    argv = [
        *(str(parts.built["thanos"]), "query", "--log.level=warn"),
        f"--http-address={_ANYWHERE}:{ports.QUERIER}",
        f"--grpc-address=127.0.0.1:{ports.QUERIER_STORE_API}",
        "--query.replica-label=replica",
        "--store.response-timeout=3s",
        "--query.timeout=15s",
        f"--endpoint.sd-config-file={stores}",
    ]
    return Part(QUERIER, argv)


def stores_config(addresses: Mapping[str, str]) -> dict[str, Any]:
    """Region -> host:port of its store, as a mapping; JSON of it is valid."""
    return {"endpoints": [{"address": address, "strict": True} for address in addresses.values()]}


def federation(parts: Parts, config: Path, data: Path) -> Part:
    """`config` is the file of `federation_config`."""
    argv = [
        str(parts.prometheus),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=6h",
        f"--web.listen-address={_ANYWHERE}:{ports.PROMETHEUS}",
        "--log.level=warn",
    ]
    return Part(FEDERATION, argv)


def federation_config(addresses: Mapping[str, str]) -> dict[str, Any]:
    """Region -> host:port of its Prometheus, as a mapping; JSON of it is a valid prometheus.yml."""
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {
                "job_name": federation_job(region),
                "metrics_path": "/federate",
                "honor_labels": True,
                "params": {"match[]": ['{job=~".+"}']},
                "static_configs": [{"targets": [address]}],
            }
            for region, address in addresses.items()
        ],
    }
