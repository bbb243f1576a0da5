"""Addresses by the names that they had before the fault.

One that is not known, or that several may have had, keeps to be an address.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from blackstart.evidence.records import Addresses, Known
from blackstart.fleet.model import Fleet


@dataclass(frozen=True)
class Named:
    """Who an address is of; `name` is the address itself when nobody knows."""

    name: str
    region: str | None
    kind: Literal["workload", "offer", "node", "place", "client", "unknown"]


class Names:
    """What was known of addresses, and the networks of each region's pods."""

    def __init__(self, addresses: Addresses | None, fleet: Fleet) -> None:
        self._known = defaultdict[str, list[Known]](list)
        for known in addresses.known if addresses else ():
            self._known[known.address].append(known)
        self._networks = [
            (ipaddress.ip_network(network, strict=False), region)
            for region, found in fleet.regions.items()
            for network in found.pods
        ]

    def source(self, address: str) -> Named:
        """Who sent something."""
        return self._only(address) or Named(address, self._region(address), "unknown")

    def destination(self, address: str) -> Named:
        """What is at `host:port`."""
        host, _, port = address.rpartition(":")
        if offer := self._only(address):
            return offer
        found = self._only(host)
        if found and found.kind == "node" and (offer := self._only(f":{port}", found.region)):
            return offer
        return found or Named(address, self._region(host), "unknown")

    def _only(self, address: str, region: str | None = None) -> Named | None:
        known = [k for k in self._known.get(address, ()) if region in (None, k.region)]
        # A node may also be known as the place of its region.
        if len({(k.region, k.kind, "" if k.kind == "node" else k.name) for k in known}) != 1:
            return None
        return Named(known[0].name, known[0].region, known[0].kind)

    def _region(self, address: str) -> str | None:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return None
        regions = {region for network, region in self._networks if ip in network}
        return regions.pop() if len(regions) == 1 else None
