"""What drills left in a fleet, read from the fleet alone: labels, cut links, Leases, guardians.

Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from blackstart.evidence.undo import Undo
from blackstart.faults.foreign import SWEPT
from blackstart.faults.foreign_cordon import NODES
from blackstart.faults.marks import LABEL, record_of, run_of
from blackstart.faults.restored import NAMESPACES
from blackstart.fleet import lease as leases
from blackstart.fleet import nft
from blackstart.fleet.clusterroles import CLUSTER_ROLES
from blackstart.fleet.errors import FleetError
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.lease import LEASES, Lease
from blackstart.fleet.model import Cluster, Fleet, Place
from blackstart.fleet.objects import Object, Ref

CONTROL = "control"
"""What the control cluster is called here, beside the names of the regions."""

JOBS = "batch/v1/jobs"

_WORKERS = 16


@dataclass(frozen=True)
class Mark:
    """An object with a run's label; `undo` is None when its record is missing or cannot be read."""

    cluster: str
    ref: Ref
    run: str
    undo: Undo | None


@dataclass(frozen=True)
class Claim:
    """A Lease of a run: its lock on a region, or the one that its guardian watches."""

    cluster: str
    run: str
    lease: Lease

    @property
    def lock(self) -> bool:
        """Whether it is a lock."""
        return self.lease.ref.name.startswith("blackstart-lock-")


@dataclass(frozen=True)
class Guard:
    """A guardian's Job."""

    cluster: str
    ref: Ref
    run: str
    active: bool


@dataclass(frozen=True)
class Role:
    """The ClusterRole of a guardian that looks after nodes: nothing owns it."""

    cluster: str
    ref: Ref
    run: str


@dataclass(frozen=True)
class Cut:
    """An nft table of a fault; `live` while it drops, False once it has expired."""

    place: str
    table: str
    live: bool


@dataclass
class Sight:
    """Everything that was found; `away`: clusters and places that could not be asked, and why."""

    marks: list[Mark] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    away: dict[str, str] = field(default_factory=dict)

    def add(self, other: Sight) -> None:
        """Take in another sight."""
        self.marks += other.marks
        self.claims += other.claims
        self.guards += other.guards
        self.roles += other.roles
        self.cuts += other.cuts
        self.away |= other.away


def clusters(fleet: Fleet) -> dict[str, Cluster]:
    """Every cluster of a fleet by its region's name, and the control cluster."""
    found = {name: region.cluster for name, region in fleet.regions.items()}
    return {**found, CONTROL: fleet.control.cluster} if fleet.control else found


def look(fleet: Fleet, regions: Iterable[str] | None = None) -> Sight:
    """Everything at once, each cluster and place asked once; only clusters of these regions when they are given."""
    names = [name for name in clusters(fleet) if regions is None or name in (*regions, CONTROL)]
    jobs: dict[str, Callable[[], Sight]] = {name: lambda name=name: look_at(fleet, name) for name in names}  # type: ignore[misc]  # a loop variable
    for name, place in fleet.places.items():
        if place.netns is not None and place.netns.exists():
            jobs[f"place {name}"] = lambda name=name, place=place: Sight(cuts=list(_cuts(name, place)))  # type: ignore[misc]  # as above
    sight = Sight()
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        for name, future in [(name, pool.submit(job)) for name, job in jobs.items()]:
            try:
                sight.add(future.result())
            except FleetError as error:
                sight.away[name] = str(error)
    return sight


def look_at(fleet: Fleet, name: str) -> Sight:
    """What is in one cluster. Raises KubeError."""
    namespaces = _namespaces(fleet, name)
    sight = Sight()
    with Kube(clusters(fleet)[name]) as kube:
        kube.verify_identity()
        sight.marks += _marks(kube, name, namespaces)
        # Before the Leases: a run makes its Lease first.
        for ref, found in _labelled(kube, CLUSTER_ROLES, namespaces):
            sight.roles.append(Role(name, ref, run_of(found) or ""))
        for ref, found in _labelled(kube, LEASES, namespaces):
            sight.claims.append(Claim(name, run_of(found) or "", leases.of(ref, found)))
        for ref, found in _labelled(kube, JOBS, namespaces):
            active = bool((found.get("status") or {}).get("active"))
            sight.guards.append(Guard(name, ref, run_of(found) or "", active))
    return sight


def marks_at(fleet: Fleet, name: str) -> list[Mark]:
    """The objects in one cluster that drills still hold. Raises KubeError."""
    with Kube(clusters(fleet)[name]) as kube:
        kube.verify_identity()
        return list(_marks(kube, name, _namespaces(fleet, name)))


def _marks(kube: Kube, name: str, namespaces: list[str]) -> Iterator[Mark]:
    for resource in SWEPT:
        for ref, found in _labelled(kube, resource, namespaces):
            undo = record_of(found)
            # A slip without a record is nobody's, and a ConfigMap of someone else's tool may carry the label.
            if undo or ref.plural != "configmaps":
                yield Mark(name, ref, run_of(found) or "", undo)


def _labelled(kube: Kube, resource: str, namespaces: list[str]) -> Iterator[tuple[Ref, Object]]:
    for found in _everywhere(kube, resource, namespaces):
        meta = found["metadata"]
        yield Ref(resource, meta.get("namespace", ""), meta["name"]), found


def _everywhere(kube: Kube, resource: str, namespaces: list[str]) -> list[Object]:
    """In all namespaces if that is allowed, else in those of the fleet's workloads, locks and Velero."""
    try:
        return kube.select(resource, "", LABEL)
    except KubeError as error:
        if error.status == 404:
            return []  # The cluster has no such kind.
        if error.status != 403:
            raise
    if resource in (NODES, NAMESPACES, CLUSTER_ROLES):
        return []  # Whoever may not list nodes has not cordoned one.
    return [found for namespace in namespaces for found in kube.select(resource, namespace, LABEL)]


def _namespaces(fleet: Fleet, name: str) -> list[str]:
    workloads = [s.workloads[name].namespace for s in fleet.services.values() if name in s.workloads]
    locks = fleet.control.namespace if fleet.control else "default"
    velero = fleet.regions[name].velero if name in fleet.regions else None
    return sorted({*workloads, locks, *([velero.namespace] if velero else [])})


def _cuts(name: str, place: Place) -> Iterator[Cut]:
    for table in nft.tables(place):
        yield Cut(name, table, nft.drops(place, table))
