"""Where a BackupStorageLocation puts its backups, and what that is lost with."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from blackstart.plan.backup.model import BackupConfig
from blackstart.plan.backup.templates import Template, templates
from blackstart.plan.resources import ClusterConfig, Resource
from blackstart.plan.values import items, mapping, text, texts

_AMAZON = re.compile(r"(?:^|\.)s3(?:[.-]dualstack)?[.-]([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com")


@dataclass(frozen=True)
class Location:
    """A BackupStorageLocation of a cluster."""

    resource: Resource
    cluster: ClusterConfig

    @cached_property
    def settings(self) -> dict[str, Any]:
        return mapping(self.resource.spec.get("config"))

    @property
    def bucket(self) -> str:
        return text(mapping(self.resource.spec.get("objectStorage")).get("bucket"))

    @property
    def prefix(self) -> str:
        return text(mapping(self.resource.spec.get("objectStorage")).get("prefix")).strip("/")

    @property
    def store(self) -> tuple[str, str, str, str]:
        """What is the same where two locations are one place."""
        account = text(self.settings.get("storageAccount"))
        return self.host, account, self.bucket, self.prefix

    @property
    def host(self) -> str:
        """The server of an S3 that is not the cloud's own; empty for that."""
        try:
            return urlsplit(text(self.settings.get("s3Url"))).hostname or ""
        except ValueError:
            return ""

    @property
    def read_only(self) -> bool:
        return self.resource.spec.get("accessMode") == "ReadOnly"

    @property
    def default(self) -> bool:
        return self.resource.spec.get("default") is True or self.resource.name == "default"

    @property
    def regions(self) -> set[str]:
        """The regions that its bucket may be called to be in; the region of a server of one's own says nothing."""
        if not self.host:
            return {text(self.settings.get("region"))} - {""}
        found = _AMAZON.search(self.host)
        return {found[1]} if found else set(self.host.split("."))


def locations(config: BackupConfig) -> Iterator[Location]:
    """Every BackupStorageLocation."""
    for cluster in config.clusters:
        yield from located(cluster)


def located(cluster: ClusterConfig) -> Iterator[Location]:
    """Those of one cluster."""
    return (Location(resource, cluster) for resource in cluster.of("BackupStorageLocation"))


def location_of(template: Template) -> Location | None:
    """Where a Schedule or Backup is put; None where its location is not there."""
    name = text(template.spec.get("storageLocation"))
    there = list(located(template.cluster))
    if name:
        return next((one for one in there if one.resource.name == name), None)
    marked = [one for one in there if one.resource.spec.get("default") is True]
    return next((one for one in [*marked, *there] if one.default), None)


def writers(config: BackupConfig, location: Location) -> list[Template]:
    """The Schedules and Backups of its own cluster that are put there."""
    mine = (one for one in templates(config) if one.cluster.name == location.cluster.name)
    return [one for one in mine if (found := location_of(one)) and found.resource is location.resource]


def protects(config: BackupConfig, location: Location) -> bool:
    """Whether backups of its own cluster are put there; where nobody has a schedule, any that may be written to."""
    scheduled = any(True for _ in templates(config))
    return bool(writers(config, location)) if scheduled else not location.read_only


def region(cluster: ClusterConfig) -> str:
    """The region of a cluster: its Nodes', else that of its volumes' snapshots, else its own name."""
    if len(cluster.regions) == 1:
        return cluster.region
    places = {mapping(one.spec.get("config")).get("region") for one in cluster.of("VolumeSnapshotLocation")}
    found = {place for place in places if isinstance(place, str)}
    return found.pop() if len(found) == 1 else cluster.name


def inside(config: BackupConfig, cluster: ClusterConfig, host: str) -> str:
    """What of a cluster a host is: `a Service`, `an address of Node n1`; empty where it is not known to be in it."""
    labels = host.split(".")
    if "svc" in labels[2:3] or host.endswith(".cluster.local"):
        return "a Service"
    services = {(one.name, one.namespace) for one in cluster.of("Service")}
    if len(labels) <= 2 and (labels[0], labels[-1] if len(labels) == 2 else "velero") in services:
        return "a Service"
    live = config.live
    for address in (host, *(live.addresses.get(host, ()) if live else ())):
        for known, what in _addresses(cluster):
            if address == known:
                return what
        for network in live.networks.get(cluster.name, ()) if live else ():
            if _within(address, network):
                return "an address of its pods"
    return ""


def _addresses(cluster: ClusterConfig) -> Iterator[tuple[str, str]]:
    for node in cluster.of("Node"):
        for _, found in items(mapping(node.manifest.data.get("status")).get("addresses")):
            yield text(found.get("address")), f"an address of Node {node.name}"
    for service in cluster.of("Service"):
        status = mapping(mapping(service.manifest.data.get("status")).get("loadBalancer"))
        given = [text(service.spec.get(key)) for key in ("clusterIP", "loadBalancerIP")]
        given += [address for _, address in texts(service.spec.get("externalIPs"))]
        for _, found in items(status.get("ingress")):
            given += [text(found.get("ip")), text(found.get("hostname"))]
        yield from ((address, f"an address of Service {service.name}") for address in given if address)


def _within(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
