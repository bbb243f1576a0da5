"""fleet.yaml: the regions, links, places and services of one environment.

A *place* is where sockets are opened from: this machine, or a network
namespace of it. A drill names *roles*; `roles` says which region or service
plays each of them in this fleet.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from blackstart.schema.base import Model, Ratio, Seconds


class Place(Model):
    """Where sockets are opened: `netns` is a path such as /run/netns/bs-us; without it, this machine."""

    netns: Path | None = None


class Cluster(Model):
    """One Kubernetes cluster, always named: kubeconfig, context, and the UID of its kube-system namespace."""

    kubeconfig: Path
    context: str
    uid: str = Field(min_length=1)


class Prometheus(Model):
    """A Prometheus-compatible API. `labels` are the external labels that its series must carry."""

    url: str
    place: str
    labels: dict[str, str] = {}


class Power(Model):
    """Commands that take a region away as a real loss would, and bring it back with its data.

    Both run to completion within `deadline` seconds, are idempotent, and exit
    0 only when done. `state` prints `up`, `dead` or `frozen`.
    """

    kill: list[str] = Field(min_length=1)
    restore: list[str] = Field(min_length=1)
    state: list[str] = Field(min_length=1)
    deadline: Seconds = 120.0


class Region(Model):
    """A failure domain: one cluster, one place inside it, its own Prometheus, its power switch."""

    cluster: Cluster
    place: str
    prometheus: Prometheus | None = None
    power: Power | None = None


class ControlPath(Model):
    """A TCP path that runs over a link: connect from `place` to `address` (host:port of an HTTP server).

    `get` is what is asked on the established connection.
    """

    place: str
    address: str
    get: str = "/healthz"


class LinkEnd(Model):
    """One end of a link: to cut it, `place` drops what comes in by `interface` or from `sources`."""

    place: str
    interface: str | None = None
    sources: list[str] = []

    @model_validator(mode="after")
    def _one_selector(self) -> LinkEnd:
        if (self.interface is None) == (not self.sources):
            raise ValueError("a link end needs either `interface` or `sources`")
        return self


class Link(Model):
    """A network path between two members (regions or places) that can be cut on its own."""

    between: tuple[str, str]
    ends: tuple[LinkEnd, LinkEnd]
    paths: list[ControlPath] = Field(min_length=1)


class Workload(Model):
    """A Deployment."""

    namespace: str
    deployment: str


class Entry(Model):
    """Where clients come in: `url` asked from `place`; `region_key` of the JSON answer names who served."""

    url: str
    place: str
    region_key: str = "region"
    timeout: Seconds = 1.0


class Service(Model):
    """What is rehearsed. `direct` are the regions' own entries, used by guards and control probes."""

    tier: int = Field(ge=0, le=4)
    entry: Entry
    direct: dict[str, Entry] = {}
    workloads: dict[str, Workload] = Field(min_length=1)
    weight: float = Field(default=1.0, gt=0)
    budget: Ratio = 0.999


class Fleet(Model):
    """One environment."""

    fleet: str
    provider: Literal["native", "kind", "external"] = "external"
    regions: dict[str, Region] = Field(min_length=1)
    places: dict[str, Place]
    links: dict[str, Link] = {}
    services: dict[str, Service] = Field(min_length=1)
    roles: dict[str, str] = {}
    source: Path | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _references(self) -> Fleet:
        self._need("place", {r.place for r in self.regions.values()}, self.places)
        prometheus = {r.prometheus.place for r in self.regions.values() if r.prometheus}
        self._need("place", prometheus, self.places)
        for link in self.links.values():
            self._need("place", {e.place for e in link.ends} | {p.place for p in link.paths}, self.places)
            self._need("region or place", set(link.between), {**self.regions, **self.places})
        for service in self.services.values():
            self._need("region", set(service.workloads) | set(service.direct), self.regions)
            entries = [service.entry, *service.direct.values()]
            self._need("place", {e.place for e in entries}, self.places)
        self._need("region or service", set(self.roles.values()), {**self.regions, **self.services})
        return self

    @staticmethod
    def _need(what: str, used: set[str], known: Iterable[str]) -> None:
        if missing := sorted(used.difference(known)):
            raise ValueError(f"unknown {what} {missing[0]!r}; known: {', '.join(sorted(known))}")

    def resolve(self, role: str) -> str:
        """The region or service that plays `role`; a region or service may also be named itself.

        Raises KeyError with the known names.
        """
        name = self.roles.get(role, role)
        if name not in self.regions and name not in self.services:
            known = sorted({*self.roles, *self.regions, *self.services})
            raise KeyError(f"no role, region or service {role!r} in fleet {self.fleet!r}; known: {', '.join(known)}")
        return name

    def links_of(self, member: str) -> dict[str, Link]:
        """The links that end at a region or place."""
        return {name: link for name, link in self.links.items() if member in link.between}
