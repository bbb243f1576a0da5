"""The pages of Prometheus' and Thanos' documentation that rules point to."""

from __future__ import annotations

_PROMETHEUS = "https://prometheus.io/docs/prometheus/latest"
_THANOS = "https://thanos.io/tip"

CONFIG = f"{_PROMETHEUS}/configuration/configuration/"
FEDERATION = f"{_PROMETHEUS}/federation/"
STALENESS = f"{_PROMETHEUS}/querying/basics/#staleness"
QUERY = f"{_THANOS}/components/query.md/"
SIDECAR = f"{_THANOS}/components/sidecar.md/"
STORAGE = f"{_THANOS}/thanos/storage.md/"
