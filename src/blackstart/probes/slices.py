"""Endpoints of a Service: what its own cluster's EndpointSlices say, to compare others with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from blackstart.evidence.records import Reason
from blackstart.probes.base import NoData

_SERVICE = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc\..+")


@dataclass(frozen=True)
class Endpoints:
    """Addresses, and those of them that are ready."""

    all: frozenset[str]
    ready: frozenset[str]


def slices_path(host: str) -> str | None:
    """Where the API has the EndpointSlices of web.shop.svc.cluster.local; None for a host outside of Kubernetes."""
    match = _SERVICE.fullmatch(host)
    if match is None:
        return None
    selector = f"labelSelector=kubernetes.io%2Fservice-name%3D{match[1]}"
    return f"/apis/discovery.k8s.io/v1/namespaces/{match[2]}/endpointslices?{selector}"


def in_slices(document: Any) -> Endpoints:
    """The endpoints of a list of EndpointSlices. Raises NoData."""
    try:
        found = [endpoint for item in document["items"] for endpoint in item.get("endpoints") or ()]
        # Unknown stands for ready.
        ready = [e for e in found if (e.get("conditions") or {}).get("ready") is not False]
        return Endpoints(*(frozenset(e["addresses"][0] for e in part) for part in (found, ready)))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise NoData(Reason.MALFORMED, f"not a list of EndpointSlices: {error!r}") from None
