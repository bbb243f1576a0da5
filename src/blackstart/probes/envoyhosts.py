"""The connections that an Envoy could not open, host by host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from blackstart.fleet.model import Endpoint
from blackstart.probes.admin import ask
from blackstart.probes.mesh import wrong_answer

_FAILED = "cx_connect_fail"


@dataclass(frozen=True)
class HostFailures:
    """Connections to a host (`address:port`) that failed since Envoy knows it; `locality`: its region."""

    cluster: str
    address: str
    locality: str
    failed: int


def connect_failures(endpoint: Endpoint, deadline: float) -> list[HostFailures]:
    """Ask an Envoy's administration; blocking, from inside its place. Raises NoData."""
    (page,) = ask(endpoint, ["/clusters?format=json"], deadline)
    try:
        return list(_hosts(page.document()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise wrong_answer("an Envoy's administration", error) from None


def _hosts(document: dict[str, Any]) -> Iterator[HostFailures]:
    for cluster in document.get("cluster_statuses", ()):
        for host in cluster.get("host_statuses", ()):
            socket = host["address"].get("socket_address")
            if socket is None:
                continue  # A socket in the file system crosses nothing.
            # Envoy leaves a value of 0 out.
            failed = sum(int(s.get("value", 0)) for s in host.get("stats", ()) if s.get("name") == _FAILED)
            address = f"{socket['address']}:{int(socket['port_value'])}"
            yield HostFailures(cluster["name"], address, host.get("locality", {}).get("region", ""), failed)
