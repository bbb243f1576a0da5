"""The native provider: a fleet of processes in network namespaces of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from blackstart.fleet.model import Fleet
from blackstart.lab import cgroups, doctor, logins, machine, network
from blackstart.lab.cgroups import ROOT, Group
from blackstart.lab.data import Site
from blackstart.lab.data import sites as data_sites
from blackstart.lab.edgelab import EdgeLab
from blackstart.lab.fleetfile import fleet_document, remote_api, write_fleet
from blackstart.lab.globalmetrics import GlobalMetrics
from blackstart.lab.mesh import Object, remote_secret
from blackstart.lab.meshrules import rules
from blackstart.lab.parts import Parts, find_parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.region import RegionLab, State
from blackstart.lab.regionfiles import EDGE_ADMIN_PORT, Hosts
from blackstart.lab.shell import LabError
from blackstart.lab.stores import Stores
from blackstart.lab.topology import EDGE, Topology, topology

Say = Callable[[str], None]
DEADLINE = 120.0
"""Seconds that a region has to become Ready."""


@dataclass(frozen=True)
class NativeLab:
    """A lab as its state folder describes it, running or not."""

    net: Topology
    paths: LabPaths
    mesh: bool = False
    data: bool = False
    semi_sync: bool = False
    global_metrics: bool = False

    @cached_property
    def sites(self) -> dict[str, Site]:
        """Where there are stores, by region; empty in a lab without."""
        return data_sites(self.net, self.semi_sync) if self.data else {}

    @cached_property
    def stores(self) -> Stores | None:
        """MariaDB and Redis of the first two regions."""
        found = [region.data for region in self.regions if region.data]
        return Stores(self.paths, found) if found else None

    def settle(self) -> None:
        """Give stores that came back their part in replication. Raises LabError."""
        if self.stores:
            self.stores.settle()

    @cached_property
    def cgroups(self) -> cgroups.Hierarchy:
        return cgroups.current()

    @property
    def regions(self) -> list[RegionLab]:
        return [self.region(net.name) for net in self.net.regions]

    def region(self, name: str) -> RegionLab:
        """Raises LabError with the known names."""
        try:
            net = self.net.region(name)
        except KeyError as error:
            raise LabError(str(error.args[0])) from None
        return RegionLab(
            net, self.paths, self.cgroups, self.mesh, self.sites.get(name), has_sidecar=self.global_metrics
        )

    @cached_property
    def edge(self) -> EdgeLab:
        return EdgeLab(self.net, self.paths, self.cgroups, self.mesh, list(self.sites))

    @cached_property
    def observers(self) -> GlobalMetrics | None:
        """Thanos and federation; None in a lab without."""
        return GlobalMetrics(self.net, self.paths, self.cgroups) if self.global_metrics else None

    def start_mesh(self, parts: Parts, timeout: float) -> None:
        """Make the regions know each other, and start each one's istiod and gateway. Raises LabError."""
        demo = rules([region.net.name for region in self.regions], self.net.meeting())
        for region in self.regions:
            if region.mesh:
                others = [other for other in self.regions if other.net != region.net]
                region.mesh.join(demo, [self._remote_secret(other, region) for other in others])
                region.mesh.start(parts)
        for region in self.regions:
            if region.mesh:
                region.mesh.wait(timeout)

    def _remote_secret(self, region: RegionLab, reader: RegionLab) -> Object:
        server = f"https://{remote_api(self.net, region.net.name, reader.net.name)}"
        return remote_secret(region.net.name, server, region.files)

    def end_processes(self) -> None:
        """Kill everything; namespaces, mounts and files stay."""
        Group(self.cgroups, ROOT).kill()


def load(paths: LabPaths) -> NativeLab:
    """The lab of a state folder. Raises LabError when there is none."""
    spec = machine.read_spec(paths)
    if spec is None:
        raise LabError(f"no lab in {paths.root}; `blackstart lab up` starts one, --state names another folder")
    return NativeLab(
        topology(spec.regions), paths, spec.mesh, spec.data, spec.semi_sync, global_metrics=spec.global_metrics
    )


def up(
    regions: Sequence[str],
    paths: LabPaths,
    say: Say,
    mesh: bool = False,
    data: bool = False,
    semi_sync: bool = False,
    global_metrics: bool = False,
) -> Fleet:
    """Start a lab, or find it running with these regions. Raises LabError; what it started is gone then.

    `data`: with replicated stores; `semi_sync`: their database acknowledges
    only what its replica has. `global_metrics`: with Thanos and a Prometheus
    that federates.
    """
    lab = NativeLab(topology(regions), paths, mesh, data, semi_sync, global_metrics=global_metrics)
    _ = lab.sites  # refuses a lab that cannot have them
    doctor.refuse(len(regions), mesh, data, global_metrics=global_metrics)
    parts = find_parts(mesh, data, global_metrics=global_metrics)
    with machine.lock():
        machine.refuse_foreign(paths, lab.cgroups)
        if _runs(lab):
            _complete(lab, parts, say)
        else:
            machine.clean(paths, lab.cgroups)
            with _cleaned_on_failure(lab):
                _create(lab, parts, say)
        document = fleet_document(lab.net, paths, _uids(lab), mesh, lab.sites, global_metrics=global_metrics)
        return write_fleet(document, paths.fleet)


def down(paths: LabPaths, say: Say) -> None:
    """End the lab of this state folder and remove what it left. Nothing happens when there is none."""
    hierarchy = cgroups.current()
    with machine.lock():
        machine.refuse_foreign(paths, hierarchy)
        machine.clean(paths, hierarchy)
    say("nothing of the lab is left but its logs")


def kill(region: str, paths: LabPaths, part: str | None = None) -> None:
    """Take the region away as a real loss does: its links fall silent, then everything in it dies.

    With `part` only that one dies: istiod, gateway, mariadb, redis, prometheus or sidecar. Raises LabError.
    """
    with _held(region, paths) as held:
        held.kill_part(part) if part else held.kill()


def freeze(region: str, paths: LabPaths, part: str | None = None) -> None:
    """Stop every process of the region where it stands. Raises LabError when it is dead.

    With `part` only that one: prometheus or sidecar.
    """
    with _held(region, paths) as held:
        held.freeze_part(part) if part else held.freeze()


def restore(region: str, paths: LabPaths, deadline: float, part: str | None = None) -> None:
    """Bring the region back with its data, from any state; returns once its pods are Ready anew.

    With `part` only that one. Raises LabError after `deadline` seconds.
    """
    with _held(region, paths) as held:
        lab, parts = load(paths), find_parts(held.has_mesh, held.data is not None, global_metrics=held.has_sidecar)
        if part:
            held.restore_part(part, parts, deadline)
            lab.settle()
        else:
            held.restore(parts, deadline, lab.settle)


def power_state(region: str, paths: LabPaths, part: str | None = None) -> State:
    """`up`, `dead` or `frozen`: the region, or one part of it. Raises LabError."""
    found = load(paths).region(region)
    return found.part_state(part) if part else found.state()


@contextmanager
def _held(region: str, paths: LabPaths) -> Iterator[RegionLab]:
    """The region, kept from `up`, `down` and other commands on it."""
    with machine.lock(shared=True):
        lab = load(paths).region(region)
        with machine.lock(paths.member(region) / "lock"):
            yield lab


def _runs(lab: NativeLab) -> bool:
    spec = machine.read_spec(lab.paths)
    mine = network.bridge_owner() == str(lab.paths.root)
    if not (spec and spec.complete and mine and Group(lab.cgroups, ROOT).pids()):
        return False
    wanted = tuple(region.name for region in lab.net.regions)
    has = (spec.regions, spec.mesh, spec.data, spec.semi_sync, spec.global_metrics)
    if has != (wanted, lab.mesh, lab.data, lab.semi_sync, lab.global_metrics):
        stores = ("semi-synchronous stores" if spec.semi_sync else "stores") if spec.data else "no stores"
        what = f"the regions {','.join(spec.regions)}, {'a' if spec.mesh else 'no'} mesh and {stores}"
        what += " and global metrics" if spec.global_metrics else ""
        raise LabError(f"a lab with {what} runs in {lab.paths.root}; `blackstart lab down` first")
    return True


def _complete(lab: NativeLab, parts: Parts, say: Say) -> None:
    """The lab runs; bring back what a drill or a crash took."""
    for region in lab.regions:
        if region.state() != "up":
            say(f"{region.net.name}: {region.state()}, restoring")
            region.restore(parts, DEADLINE, lab.settle)
        region.metrics.start(parts)
        region.metrics.wait(parts, DEADLINE)
    lab.start_mesh(parts, DEADLINE)
    if lab.stores:
        lab.stores.start(parts, DEADLINE)
    if not lab.edge.alive():
        lab.edge.start(parts)
    lab.edge.wait(30.0)
    if lab.observers:
        lab.observers.start(parts)
        lab.observers.wait(parts, 30.0)


def _create(lab: NativeLab, parts: Parts, say: Say) -> None:
    began = time.monotonic()

    def tell(what: str) -> None:
        say(f"{time.monotonic() - began:5.1f} s  {what}")

    regions = tuple(region.name for region in lab.net.regions)
    wanted = machine.Spec(
        regions, mesh=lab.mesh, data=lab.data, semi_sync=lab.semi_sync, global_metrics=lab.global_metrics
    )
    spec = machine.borrow(lab.paths, wanted)
    if lab.data:
        logins.make(lab.paths)
    network.claim_bridge(str(lab.paths.root))
    network.create(lab.net)
    tell("namespaces and links")

    def create(region: RegionLab) -> None:
        end = lab.net.wires[f"{EDGE}-{region.net.name}"].end_of(EDGE)
        own = [e.address for wire in lab.net.wires.values() for e in wire.ends if e.member == region.net]
        region.create(parts, Hosts(f"{end.address}:{EDGE_ADMIN_PORT}", own, lab.mesh, lab.data), DEADLINE, tell)

    def create_stores(stores: Stores) -> None:
        stores.create(parts, DEADLINE)
        tell("stores replicate")

    with ThreadPoolExecutor(max_workers=len(lab.regions) + 1) as pool:
        try:
            jobs = [pool.submit(create, region) for region in lab.regions]
            if lab.stores:
                jobs.append(pool.submit(create_stores, lab.stores))
            lab.edge.start(parts)
            if lab.observers:
                lab.observers.start(parts)
            for job in jobs:
                job.result()
            if lab.mesh:
                lab.start_mesh(parts, DEADLINE)
                tell("mesh ready")
        except BaseException:
            # The threads wait for processes: without these they end at once.
            lab.end_processes()
            raise
    lab.edge.wait(30.0)
    tell("edge green")
    if lab.observers:
        lab.observers.wait(parts, 30.0)
        tell("Thanos and federation see every region")
    replace(spec, complete=True).write(lab.paths)


@contextmanager
def _cleaned_on_failure(lab: NativeLab) -> Iterator[None]:
    try:
        yield
    except BaseException:
        machine.clean(lab.paths, lab.cgroups)
        raise


def _uids(lab: NativeLab) -> dict[str, str]:
    uids = {}
    for region in lab.regions:
        uid = region.api.uid()
        if uid is None:
            raise LabError(f"region {region.net.name}: the API server does not answer")
        uids[region.net.name] = uid
    return uids
