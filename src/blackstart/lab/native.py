"""The native provider: a fleet of processes in network namespaces of this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

from blackstart.fleet.model import Fleet, Place
from blackstart.lab import cgroups, commands, doctor, machine, network, ports
from blackstart.lab.api import Request, ask
from blackstart.lab.cgroups import ROOT, Group
from blackstart.lab.edge import edge_config
from blackstart.lab.fleetfile import EDGE_PORT, fleet_document, remote_api, write_fleet
from blackstart.lab.manifests import NODE_PORT
from blackstart.lab.mesh import Object, remote_secret
from blackstart.lab.meshrules import rules
from blackstart.lab.parts import Parts, find_parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.processes import Processes
from blackstart.lab.region import RegionLab, State
from blackstart.lab.regionfiles import EDGE_ADMIN_PORT, Hosts
from blackstart.lab.shell import LabError, wait_for
from blackstart.lab.topology import EDGE, OBSERVER, Topology, topology

Say = Callable[[str], None]
DEADLINE = 120.0
"""Seconds that a region has to become Ready."""


@dataclass(frozen=True)
class NativeLab:
    """A lab as its state folder describes it, running or not."""

    net: Topology
    paths: LabPaths
    mesh: bool = False

    @cached_property
    def cgroups(self) -> cgroups.Hierarchy:
        return cgroups.current()

    @property
    def regions(self) -> list[RegionLab]:
        return [self.region(net.name) for net in self.net.regions]

    def region(self, name: str) -> RegionLab:
        """Raises LabError with the known names."""
        try:
            return RegionLab(self.net.region(name), self.paths, self.cgroups, self.mesh)
        except KeyError as error:
            raise LabError(str(error.args[0])) from None

    @cached_property
    def edge(self) -> Processes:
        group = Group(self.cgroups, f"{ROOT}/{EDGE}/sys")
        return Processes(self.net.edge, self.paths.member(EDGE), group)

    def edge_alive(self) -> bool:
        envoy = self.edge.all().get("envoy")
        return envoy is not None and envoy.alive()

    def start_edge(self, parts: Parts) -> None:
        """Start the global load balancer, the regions in their order of preference."""
        port = ports.GATEWAY if self.mesh else NODE_PORT
        upstreams = [
            (r.name, self.net.wires[f"{EDGE}-{r.name}"].end_of(r.name).address, port) for r in self.net.regions
        ]
        folder = self.paths.member(EDGE)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "envoy.json"
        listen, admin = ("0.0.0.0", EDGE_PORT), ("0.0.0.0", EDGE_ADMIN_PORT)  # noqa: S104 - a namespace's own
        config.write_text(json.dumps(edge_config(listen, admin, upstreams), indent=1))
        Group(self.cgroups, f"{ROOT}/{EDGE}/sys").make()
        self.edge.start(commands.envoy(parts, config))

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

    def wait_for_edge(self, timeout: float) -> None:
        """Until a client's request is answered by the preferred region."""
        observer = Place(netns=self.net.observer.netns)
        address = self.net.wires[f"{OBSERVER}-{EDGE}"].end_of(EDGE).address
        first = self.net.regions[0].name

        def green() -> bool | None:
            try:
                status, body = ask(observer, (address, EDGE_PORT), Request("GET", "/"), 1.0)
            except OSError:
                return None
            return True if status == 200 and json.loads(body).get("region") == first else None

        wait_for(f"the edge serves from {first}", green, timeout, hint=f"see {self.edge.logs}/envoy.log")


def load(paths: LabPaths) -> NativeLab:
    """The lab of a state folder. Raises LabError when there is none."""
    spec = machine.read_spec(paths)
    if spec is None:
        raise LabError(f"no lab in {paths.root}; `blackstart lab up` starts one, --state names another folder")
    return NativeLab(topology(spec.regions), paths, spec.mesh)


def up(regions: Sequence[str], paths: LabPaths, say: Say, mesh: bool = False) -> Fleet:
    """Start a lab, or find it running with these regions. Raises LabError; what it started is gone then."""
    lab = NativeLab(topology(regions), paths, mesh)
    doctor.refuse(len(regions), mesh)
    parts = find_parts(mesh)
    with machine.lock():
        machine.refuse_foreign(paths, lab.cgroups)
        if _runs(lab):
            _complete(lab, parts, say)
        else:
            machine.clean(paths, lab.cgroups)
            with _cleaned_on_failure(lab):
                _create(lab, parts, say)
        return write_fleet(fleet_document(lab.net, paths, _uids(lab), mesh), paths.fleet)


def down(paths: LabPaths, say: Say) -> None:
    """End the lab of this state folder and remove what it left. Nothing happens when there is none."""
    hierarchy = cgroups.current()
    with machine.lock():
        machine.refuse_foreign(paths, hierarchy)
        machine.clean(paths, hierarchy)
    say("nothing of the lab is left but its logs")


def kill(region: str, paths: LabPaths, part: str | None = None) -> None:
    """Take the region away as a real loss does: its links fall silent, then everything in it dies.

    With `part` only that one dies: istiod or gateway. Raises LabError.
    """
    with _held(region, paths) as held:
        held.kill_part(part) if part else held.kill()


def freeze(region: str, paths: LabPaths) -> None:
    """Stop every process of the region where it stands. Raises LabError when it is dead."""
    with _held(region, paths) as held:
        held.freeze()


def restore(region: str, paths: LabPaths, deadline: float, part: str | None = None) -> None:
    """Bring the region back with its data, from any state; returns once its pods are Ready anew.

    With `part` only that one. Raises LabError after `deadline` seconds.
    """
    with _held(region, paths) as held:
        parts = find_parts(held.has_mesh)
        held.restore_part(part, parts, deadline) if part else held.restore(parts, deadline)


def power_state(region: str, paths: LabPaths, part: str | None = None) -> State:
    """`up`, `dead` or `frozen`: the region, or one part of its mesh. Raises LabError."""
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
    if (spec.regions, spec.mesh) != (wanted, lab.mesh):
        what = f"the regions {','.join(spec.regions)} and {'a' if spec.mesh else 'no'} mesh"
        raise LabError(f"a lab with {what} runs in {lab.paths.root}; `blackstart lab down` first")
    return True


def _complete(lab: NativeLab, parts: Parts, say: Say) -> None:
    """The lab runs; bring back what a drill or a crash took."""
    for region in lab.regions:
        if region.state() != "up":
            say(f"{region.net.name}: {region.state()}, restoring")
            region.restore(parts, DEADLINE)
    lab.start_mesh(parts, DEADLINE)
    if not lab.edge_alive():
        lab.start_edge(parts)
    lab.wait_for_edge(30.0)


def _create(lab: NativeLab, parts: Parts, say: Say) -> None:
    began = time.monotonic()

    def tell(what: str) -> None:
        say(f"{time.monotonic() - began:5.1f} s  {what}")

    spec = machine.borrow(lab.paths, [region.name for region in lab.net.regions], lab.mesh)
    network.claim_bridge(str(lab.paths.root))
    network.create(lab.net)
    tell("namespaces and links")

    def create(region: RegionLab) -> None:
        end = lab.net.wires[f"{EDGE}-{region.net.name}"].end_of(EDGE)
        own = [e.address for wire in lab.net.wires.values() for e in wire.ends if e.member == region.net]
        region.create(parts, Hosts(f"{end.address}:{EDGE_ADMIN_PORT}", own, lab.mesh), DEADLINE, tell)

    with ThreadPoolExecutor(max_workers=len(lab.regions)) as pool:
        try:
            jobs = [pool.submit(create, region) for region in lab.regions]
            lab.start_edge(parts)
            for job in jobs:
                job.result()
            if lab.mesh:
                lab.start_mesh(parts, DEADLINE)
                tell("mesh ready")
        except BaseException:
            # The threads wait for processes: without these they end at once.
            lab.end_processes()
            raise
    lab.wait_for_edge(30.0)
    tell("edge green")
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
