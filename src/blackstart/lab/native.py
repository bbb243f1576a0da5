"""The native provider: a fleet of processes in network namespaces of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from blackstart.fleet.model import Fleet
from blackstart.lab import cgroups, doctor, logins, machine, network
from blackstart.lab.bucketlab import BucketLab
from blackstart.lab.cgroups import ROOT, Group
from blackstart.lab.features import Features
from blackstart.lab.fleetfile import fleet_document, write_fleet
from blackstart.lab.nativelab import NativeLab as NativeLab
from blackstart.lab.nativelab import load as load
from blackstart.lab.parts import Parts, find_parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.region import RegionLab, State
from blackstart.lab.regionfiles import EDGE_ADMIN_PORT, Hosts
from blackstart.lab.shell import LabError, wait_for
from blackstart.lab.stores import Stores
from blackstart.lab.topology import EDGE
from blackstart.lab.topology import topology as topology

Say = Callable[[str], None]
DEADLINE = 120.0
"""Seconds that a region has to become Ready."""


def up(
    regions: Sequence[str],
    paths: LabPaths,
    say: Say,
    **wanted: bool,
) -> Fleet:
    """Start a lab, or find it running with these regions. Raises LabError; what it started is gone then.

    `wanted`: what Features may have.
    """
    has = Features(**wanted)
    lab = NativeLab(topology(regions, has.backup), paths, has)
    _ = lab.sites  # refuses a lab that cannot have them
    doctor.refuse(len(regions), has)
    parts = find_parts(has)
    with machine.lock():
        machine.refuse_foreign(paths, lab.cgroups)
        if _runs(lab):
            _complete(lab, parts, say)
        else:
            machine.clean(paths, lab.cgroups)
            with _cleaned_on_failure(lab):
                _create(lab, parts, say)
        document = fleet_document(lab.net, paths, _uids(lab), has.mesh, lab.sites, has.global_metrics)
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

    With `part` only that one dies: istiod, gateway, mariadb, redis, prometheus, sidecar or velero.
    `store` in the place of a region is the bucket of backups. Raises LabError.
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
        lab = load(paths)
        parts = find_parts(lab.has)
        if part:
            held.restore_part(part, parts, deadline)
            lab.settle()
        else:
            held.restore(parts, deadline, lab.settle)


def power_state(region: str, paths: LabPaths, part: str | None = None) -> State:
    """`up`, `dead` or `frozen`: the region, one part of it, or the bucket. Raises LabError."""
    found = load(paths).member(region)
    return found.part_state(part) if part else found.state()


@contextmanager
def _held(region: str, paths: LabPaths) -> Iterator[RegionLab | BucketLab]:
    """The region or the bucket, kept from `up`, `down` and other commands on it."""
    with machine.lock(shared=True):
        lab = load(paths).member(region)
        with machine.lock(paths.member(region) / "lock"):
            yield lab


def _runs(lab: NativeLab) -> bool:
    spec = machine.read_spec(lab.paths)
    mine = network.bridge_owner() == str(lab.paths.root)
    if not (spec and spec.complete and mine and Group(lab.cgroups, ROOT).pids()):
        return False
    wanted = tuple(region.name for region in lab.net.regions)
    if (spec.regions, spec.has) != (wanted, lab.has):
        what = f"the regions {','.join(spec.regions)}, {spec.has}"
        raise LabError(f"a lab with {what} runs in {lab.paths.root}; `blackstart lab down` first")
    return True


def _complete(lab: NativeLab, parts: Parts, say: Say) -> None:
    """The lab runs; bring back what a drill or a crash took."""
    if lab.bucket:
        lab.bucket.restore(parts, DEADLINE)
    for region in lab.regions:
        if region.state() != "up":
            say(f"{region.net.name}: {region.state()}, restoring")
            region.restore(parts, DEADLINE, lab.settle)
        region.metrics.start(parts)
        region.metrics.wait(parts, DEADLINE)
    lab.start_mesh(parts, DEADLINE)
    for region in lab.regions:
        if region.velero:
            region.velero.start(parts)
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
    spec = machine.borrow(lab.paths, machine.Spec(regions, has=lab.has))
    if lab.has.data:
        logins.make(lab.paths)
    if lab.has.backup:
        logins.make_bucket(lab.paths)
    network.claim_bridge(str(lab.paths.root))
    network.create(lab.net)
    tell("namespaces and links")

    def create(region: RegionLab) -> None:
        end = lab.net.wires[f"{EDGE}-{region.net.name}"].end_of(EDGE)
        own = [e.address for wire in lab.net.wires.values() for e in wire.ends if e.member == region.net]
        hosts = Hosts(f"{end.address}:{EDGE_ADMIN_PORT}", own, lab.has.mesh, lab.has.data, lab.has.backup)
        region.create(parts, hosts, DEADLINE, tell)

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
            if lab.bucket:
                lab.bucket.start(parts)
            for job in jobs:
                job.result()
            if lab.has.mesh:
                lab.start_mesh(parts, DEADLINE)
                tell("mesh ready")
            if lab.bucket:
                _back_up(lab)
                tell("first backup")
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


def _back_up(lab: NativeLab) -> None:
    """The first backup, of everything that there is to back up by now."""
    veleros = [region.velero for region in lab.regions if region.velero]
    for velero in veleros:
        velero.wait_for_location(DEADLINE)
    veleros[0].back_up(DEADLINE)


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
        uids[region.net.name] = wait_for(
            f"region {region.net.name}: an answer of the API server", region.api.uid, 30.0
        )
    return uids
