"""A native lab as its state folder describes it: which parts it has, and where."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from blackstart.lab import backup as backups
from blackstart.lab import cgroups, machine
from blackstart.lab.bucketlab import BucketLab
from blackstart.lab.cgroups import ROOT, Group
from blackstart.lab.data import Site
from blackstart.lab.data import sites as data_sites
from blackstart.lab.edgelab import EdgeLab
from blackstart.lab.features import PLAIN, Features
from blackstart.lab.fleetfile import remote_api
from blackstart.lab.globalmetrics import GlobalMetrics
from blackstart.lab.mesh import Object, remote_secret
from blackstart.lab.meshrules import rules
from blackstart.lab.parts import Parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.region import RegionLab
from blackstart.lab.shell import LabError
from blackstart.lab.stores import Stores
from blackstart.lab.topology import STORE, Topology, topology


@dataclass(frozen=True)
class NativeLab:
    """A lab as its state folder describes it, running or not."""

    net: Topology
    paths: LabPaths
    has: Features = PLAIN

    @cached_property
    def sites(self) -> dict[str, Site]:
        """Where there are stores, by region; empty in a lab without."""
        return data_sites(self.net, self.has.semi_sync, self.has.multi_active) if self.has.data else {}

    @cached_property
    def stores(self) -> Stores | None:
        """MariaDB and Redis of the first two regions."""
        found = [region.data for region in self.regions if region.data]
        return Stores(self.paths, found) if found else None

    @cached_property
    def bucket(self) -> BucketLab | None:
        """The bucket of backups; None in a lab without."""
        return BucketLab(self.net.store, self.paths, self.cgroups) if self.net.store else None

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
        site = backups.sites(self.net)[name] if self.has.backup else None
        return RegionLab(
            net, self.paths, self.cgroups, self.has.mesh, self.sites.get(name), site, self.has.global_metrics
        )

    def member(self, name: str) -> RegionLab | BucketLab:
        """A region, or the bucket: what has a power switch. Raises LabError with the known names of regions."""
        return self.bucket if self.bucket and name == STORE else self.region(name)

    @cached_property
    def edge(self) -> EdgeLab:
        return EdgeLab(self.net, self.paths, self.cgroups, self.has.mesh, list(self.sites))

    @cached_property
    def observers(self) -> GlobalMetrics | None:
        """Thanos and federation; None in a lab without."""
        return GlobalMetrics(self.net, self.paths, self.cgroups) if self.has.global_metrics else None

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
    return NativeLab(topology(spec.regions, spec.has.backup), paths, spec.has)
