"""fleet.yaml: the regions, links, places and services of one environment.

A *place* is where sockets are opened from: this machine, or a network
namespace of it. A drill names *roles*; `roles` says which region or service
plays each of them in this fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator
from pydantic.json_schema import SkipJsonSchema

from blackstart.fleet.backups import Bucket, Velero
from blackstart.fleet.headers import Headers
from blackstart.fleet.metrics import Prometheus as Prometheus
from blackstart.fleet.metrics import Sidecar
from blackstart.fleet.stores import Store, Writes
from blackstart.fleet.switch import Power as Power
from blackstart.schema.base import LocalPath, Model, Ratio, Seconds
from blackstart.schema.errors import KeyPath, Problems, unknown


class Place(Model):
    """Where sockets are opened: `netns` is a path such as /run/netns/bs-us; without it, this machine.

    `uid`: the user that they belong to, where a firewall tells users apart.
    """

    netns: Path | None = None
    uid: int | None = Field(default=None, ge=0)


class Cluster(Model):
    """One Kubernetes cluster, always named: kubeconfig, context, and the UID of its kube-system namespace."""

    kubeconfig: LocalPath
    context: str
    uid: str = Field(min_length=1)


class Endpoint(Model):
    """An HTTP server: `url` asked from `place`."""

    url: str
    place: str


class MeshPart(Endpoint):
    """A part of a mesh that runs as a process: where it is asked, and how it is killed by itself."""

    power: Power | None = None


class Gateway(MeshPart):
    """An ingress gateway's Envoy; `uid`: the user that it runs as, which tells its traffic from all others'."""

    uid: int | None = Field(default=None, ge=0)


class Mesh(Model):
    """Istio in a region: its istiod (debug endpoints), and the administration of its ingress gateway's Envoy.

    `cluster` is the id that istiods know the region's cluster by, `locality`
    the topology.kubernetes.io/region of its nodes; without them, the region's
    name. `remotes`: region -> address (host:port) at which this istiod asks
    that region's API server.
    """

    istiod: MeshPart
    gateway: Gateway
    remotes: dict[str, str] = {}
    cluster: str | None = Field(default=None, min_length=1)
    locality: str | None = Field(default=None, min_length=1)


class Region(Model):
    """A failure domain: one cluster, one place inside it, what watches it and backs it up, its power switch.

    `pods`: the networks that its pods' addresses are of.
    """

    cluster: Cluster
    place: str
    pods: list[str] = []
    prometheus: Prometheus | None = None
    sidecar: Sidecar | None = None
    mesh: Mesh | None = None
    velero: Velero | None = None
    power: Power | None = None


class ControlPath(Model):
    """A TCP path that runs over a link: connect from `place` to `address` (host:port of an HTTP server).

    `get` is what is asked on the established connection, over TLS with `tls`
    (whoever answers). `uid`: as which user, when not as the place's own.
    """

    place: str
    address: str
    get: str = "/healthz"
    tls: bool = False
    uid: int | None = Field(default=None, ge=0)


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
    """Where clients come in: `url` asked from `place`; `region_key` of the JSON answer names who served.

    `headers` are sent with every request; `Host` takes the place of the URL's.

    What is behind it: `balancer`, the administration of the Envoy that shares
    clients out among regions, for the forecast; or `gateway`, the region whose
    mesh gateway it is: a run whose clients do not come in there is refused.
    """

    url: str
    place: str
    region_key: str = "region"
    timeout: Seconds = 1.0
    headers: Headers = {}
    balancer: Endpoint | None = None
    gateway: str | None = None


class Service(Model):
    """What is rehearsed. `direct` are the regions' own entries, used by guards and control probes.

    `pod_capacity`: requests per second that one pod serves, by your own load test.
    `writes` is where numbered writes go in, `stores` the stores that they must end up in.
    """

    tier: int = Field(ge=0, le=4)
    entry: Entry
    direct: dict[str, Entry] = {}
    workloads: dict[str, Workload] = Field(min_length=1)
    weight: float = Field(default=1.0, gt=0)
    budget: Ratio = 0.999
    pod_capacity: float | None = Field(default=None, gt=0)
    writes: Writes | None = None
    stores: list[str] = []

    def entries(self) -> dict[KeyPath, Entry]:
        """Every entry, by its keys below the service."""
        return {("entry",): self.entry, **{("direct", region): entry for region, entry in self.direct.items()}}


def _never_in_files(path: object, info: ValidationInfo) -> object:
    if info.context:
        raise ValueError("is where the fleet was read from; remove it")
    return path


class Control(Model):
    """Where drills keep their locks: a cluster that no drill touches."""

    cluster: Cluster
    namespace: str = "default"


class Guardian(Model):
    """What is run in a cluster to put things back when the operator cannot; `blackstart guardian-image` makes it."""

    image: str = Field(min_length=1)


class Fleet(Model):
    """One environment."""

    fleet: str
    provider: Literal["native", "kind", "external"] = "external"
    regions: dict[str, Region] = Field(min_length=1)
    places: dict[str, Place]
    links: dict[str, Link] = {}
    stores: dict[str, Store] = {}
    services: dict[str, Service] = Field(min_length=1)
    roles: dict[str, str] = {}
    prometheus: Prometheus | None = Field(default=None, description="the one that sees every region, such as Thanos")
    federation: Prometheus | None = Field(default=None, description="the one that scrapes every region's")
    backups: Bucket | None = None
    dumps: Bucket | None = Field(default=None, description="where hooks of backups write database dumps")
    control: Control | None = None
    guardian: Guardian | None = None
    source: SkipJsonSchema[Annotated[Path | None, BeforeValidator(_never_in_files)]] = Field(
        default=None, exclude=True
    )

    @model_validator(mode="after")
    def _references(self) -> Fleet:
        problems = [
            (path, unknown(what, name, known)) for what, path, name, known in self._names() if name not in known
        ]
        if problems:
            raise Problems(problems)
        return self

    def _names(self) -> Iterator[tuple[str, KeyPath, str, Iterable[str]]]:
        """Every name used: what it should be, where it stands, the name, the known ones."""
        for path, place in self._place_names():
            yield "place", path, place, self.places
        for name, link in self.links.items():
            for i, member in enumerate(link.between):
                yield "region or place", ("links", name, "between", i), member, {**self.regions, **self.places}
        for name, service in self.services.items():
            for key, used in (("workloads", service.workloads), ("direct", service.direct)):
                for region in used:
                    yield "region", ("services", name, key, region), region, self.regions
            for keys, entry in service.entries().items():
                if entry.gateway is not None:
                    yield "region", ("services", name, *keys, "gateway"), entry.gateway, self.regions
            for region in service.writes.urls if service.writes else ():
                yield "region", ("services", name, "writes", "urls", region), region, self.regions
            for i, store in enumerate(service.stores):
                yield "store", ("services", name, "stores", i), store, self.stores
        for name, kept in self.stores.items():
            for region in kept.members:
                yield "region", ("stores", name, "members", region), region, self.regions
        for key, seen in (("prometheus", self.prometheus), ("federation", self.federation)):
            for what in ("stores", "jobs") if seen else ():
                for region in getattr(seen, what):
                    yield "region", (key, what, region), region, self.regions
        for key, bucket in (("backups", self.backups), ("dumps", self.dumps)):
            if bucket and bucket.region is not None:
                yield "region", (key, "region"), bucket.region, self.regions
        for name, found in self.regions.items():
            for other in found.mesh.remotes if found.mesh else ():
                yield "region", ("regions", name, "mesh", "remotes", other), other, self.regions
        for role, player in self.roles.items():
            yield (
                "region, service or store",
                ("roles", role),
                player,
                {**self.regions, **self.services, **self.stores},
            )

    def _place_names(self) -> Iterator[tuple[KeyPath, str]]:
        for name, region in self.regions.items():
            yield ("regions", name, "place"), region.place
            if region.prometheus:
                yield ("regions", name, "prometheus", "place"), region.prometheus.place
            if region.sidecar:
                yield ("regions", name, "sidecar", "place"), region.sidecar.place
            if region.mesh:
                yield ("regions", name, "mesh", "istiod", "place"), region.mesh.istiod.place
                yield ("regions", name, "mesh", "gateway", "place"), region.mesh.gateway.place
        for key, asked in (
            ("prometheus", self.prometheus),
            ("federation", self.federation),
            ("backups", self.backups),
            ("dumps", self.dumps),
        ):
            if asked:
                yield (key, "place"), asked.place
        for name, link in self.links.items():
            for i, end in enumerate(link.ends):
                yield ("links", name, "ends", i, "place"), end.place
            for i, control in enumerate(link.paths):
                yield ("links", name, "paths", i, "place"), control.place
        for name, kept in self.stores.items():
            for where, member in kept.members.items():
                yield ("stores", name, "members", where, "place"), member.place
        for name, service in self.services.items():
            if service.writes:
                yield ("services", name, "writes", "place"), service.writes.place
            for keys, entry in service.entries().items():
                yield ("services", name, *keys, "place"), entry.place
                if entry.balancer:
                    yield ("services", name, *keys, "balancer", "place"), entry.balancer.place

    def resolve(self, role: str) -> str:
        """The region, service or store that plays `role`; each may also be named itself.

        Raises KeyError with the known names.
        """
        name = self.roles.get(role, role)
        if name not in self.regions and name not in self.services and name not in self.stores:
            known = sorted({*self.roles, *self.regions, *self.services, *self.stores})
            raise KeyError(
                f"no role, region, service or store {role!r} in fleet {self.fleet!r}; known: {', '.join(known)}"
            )
        return name

    def players(self, members: Iterable[str]) -> list[str]:
        """Every name by which a drill can ask for one of `members`: roles first, then the members themselves."""
        members = list(members)
        return [*(role for role, player in self.roles.items() if player in members), *members]

    def links_of(self, member: str) -> dict[str, Link]:
        """The links that end at a region or place."""
        return {name: link for name, link in self.links.items() if member in link.between}
