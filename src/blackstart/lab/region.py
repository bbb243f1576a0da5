"""One region: its control plane, its node with real pods, its Prometheus. Started, killed, frozen, restored."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from blackstart.fleet.model import Place
from blackstart.lab import backup, commands, network, nodeimages, regionmetrics
from blackstart.lab.api import Api, Object, container_ids
from blackstart.lab.backupregion import RegionBackup
from blackstart.lab.cgroups import ROOT, Group, Hierarchy
from blackstart.lab.data import KINDS, Site
from blackstart.lab.dataregion import RegionData
from blackstart.lab.echo import Echo
from blackstart.lab.events import Events
from blackstart.lab.manifests import demo
from blackstart.lab.meshregion import RegionMesh
from blackstart.lab.parts import Parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.processes import Part, Processes
from blackstart.lab.pyimage import guardian_image
from blackstart.lab.regionfiles import Hosts, RegionFiles, write_region
from blackstart.lab.regionmetrics import RegionMetrics
from blackstart.lab.settled import missing
from blackstart.lab.shell import LabError, wait_for
from blackstart.lab.silence import is_silent, silence, unsilence
from blackstart.lab.topology import RegionNet

State = Literal["up", "dead", "frozen"]

_PARTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
    "discovery",
)


@dataclass(frozen=True)
class RegionLab:
    """A region of a lab on this machine."""

    net: RegionNet
    paths: LabPaths
    cgroups: Hierarchy
    has_mesh: bool = False
    site: Site | None = None
    backup_site: backup.Site | None = None
    has_sidecar: bool = False

    @cached_property
    def mesh(self) -> RegionMesh | None:
        """istiod and gateway; None in a lab without a mesh."""
        return RegionMesh(self.net, self.files, self.processes, self.api) if self.has_mesh else None

    @cached_property
    def data(self) -> RegionData | None:
        """MariaDB and Redis; None where the lab has none here."""
        return RegionData(self.net, self.paths, self.processes, self.site) if self.site else None

    @cached_property
    def metrics(self) -> RegionMetrics:
        """What observes the region from inside."""
        return RegionMetrics(self.net, self.files, self.processes, self.api, self.has_sidecar)

    @cached_property
    def velero(self) -> RegionBackup | None:
        """Velero; None in a lab without backups."""
        site = self.backup_site
        return RegionBackup(site, self.paths, self.files, self.processes, self.api) if site else None

    @cached_property
    def files(self) -> RegionFiles:
        return RegionFiles(self.paths.member(self.net.name))

    @property
    def group(self) -> Group:
        """All of the region: what the lab started, and its containers."""
        return Group(self.cgroups, f"{ROOT}/{self.net.name}")

    @cached_property
    def processes(self) -> Processes:
        own = Group(self.cgroups, f"{self.group.name}/sys")
        return Processes(self.net, self.files.folder, own)

    @cached_property
    def api(self) -> Api:
        place = Place(netns=self.net.netns)
        return Api(place, self.net.address, self.files.pki("ca").cert, self.files.pki("admin"), self._check_alive)

    @property
    def events(self) -> Events:
        return Events(self.paths.events, self.net.name)

    def create(self, parts: Parts, hosts: Hosts, deadline: float, say: Callable[[str], None]) -> None:
        """Start a new cluster with the demo in it; returns once its pods are Ready. Raises LabError.

        A mesh is prepared, but not started: it needs the other regions. So do
        stores, of which only the service that uses them is started here.
        """
        name = self.net.name
        write_region(self.files, self.net, parts, self.group.name, hosts)
        Group(self.cgroups, f"{self.group.name}/sys").make()
        self._start_control_plane(parts)
        self.metrics.start(parts)  # it scrapes only five seconds later
        self._import_images(parts)
        say(f"{name}: images imported")
        self._wait_for_api(deadline)
        say(f"{name}: API server ready")
        services = self.data.order_service() if self.data else ()
        for obj in (*demo(name), *services, *(self.velero.content(bool(self.data)) if self.velero else ())):
            self.api.apply(obj)
        # It is large, and nobody needs it before the first drill.
        with ThreadPoolExecutor(max_workers=3) as background:
            guardian = background.submit(lambda: self._import_image(parts, guardian_image()))
            mesh = background.submit(self.mesh.install, parts) if self.mesh else None
            velero = background.submit(self.velero.create, parts) if self.velero else None
            self._start_workers(parts)
            self._wait_until_settled(frozenset(), deadline)
            say(f"{name}: pods Ready")
            self.metrics.wait(parts, deadline)
            for job in (guardian, mesh, velero):
                if job:
                    job.result()

    def kill(self) -> None:
        """Take the region away as a real loss does: its links fall silent, then everything in it dies."""
        if self.data and not self.group.frozen():
            self.data.keep_roles()
        self.events.write("kill", "silencing")
        with Echo(self.net.address) as echo:
            silence(self.net)
        self.events.write("kill", "silenced")
        if echo.bounds is not None:
            answered, unanswered = echo.bounds
            self.events.write("kill", "last-answer", answered)
            self.events.write("kill", "first-silence", unanswered)
        self.group.kill()
        self.processes.forget()
        self.events.write("kill", "killed")

    def freeze(self) -> None:
        """Stop every process where it stands; connections hang."""
        if self.state() == "dead":
            raise LabError(f"region {self.net.name} is dead; restore it first")
        self.events.write("freeze", "freezing")
        self.group.freeze()
        self.events.write("freeze", "frozen")

    def restore(self, parts: Parts, deadline: float, settle: Callable[[], None] = lambda: None) -> None:
        """Bring the region back with its data, from any state; returns once its pods are Ready anew.

        `settle` is called once its stores answer and its links are open.
        """
        self.events.write("restore", "begun")
        self.group.thaw()
        stale: frozenset[str] = frozenset()
        if self.state() != "up":
            self.group.kill()
            self.processes.forget()
            self._sweep()
            if self.data:
                self.data.start(parts)
            self._start_control_plane(parts)
            self._wait_for_api(deadline)
            stale = container_ids(self._pods(deadline))
            self._start_workers(parts)
        if self.mesh:
            self.mesh.start(parts)
        if self.data:
            self.data.start(parts)
            self.data.wait(deadline)
        self.metrics.start(parts)
        if self.velero:
            self.velero.start(parts)
        unsilence(self.net)
        self.events.write("restore", "reachable")
        settle()
        self._wait_until_settled(stale, deadline)
        self.metrics.wait(parts, deadline)
        if self.mesh:
            self.mesh.wait(deadline)
        if self.velero:
            self.velero.wait(deadline)
        self.events.write("restore", "ready")

    def state(self) -> State:
        """`up` only when every part runs that the cluster needs, and the links are not silenced."""
        if self.group.frozen():
            return "frozen"
        whole = all(process and process.alive() for process in map(self.processes.all().get, _PARTS))
        return "up" if whole and not is_silent(self.net) else "dead"

    def kill_part(self, part: str) -> None:
        """End one part of the mesh, one store, one observer or Velero; the region stays up. Raises LabError."""
        self._refuse_unless_up()
        self._owner(part).kill_part(part)
        self.events.write("kill", f"{part} killed")

    def freeze_part(self, part: str) -> None:
        """Let one observer stand still; the region goes on. Raises LabError."""
        self._refuse_unless_up()
        self.metrics.freeze_part(part)
        self.events.write("freeze", f"{part} frozen")

    def restore_part(self, part: str, parts: Parts, deadline: float) -> None:
        """Bring one part back; returns once it answers. Raises LabError."""
        self._refuse_unless_up()
        self._owner(part).restore_part(part, parts, deadline)
        self.events.write("restore", f"{part} ready")

    def part_state(self, part: str) -> State:
        """Of one part; in a frozen region nothing runs. Raises LabError."""
        owner = self._owner(part)
        alive = owner.alive(part)
        if self.group.frozen() or self.processes.frozen(part):
            return "frozen"
        return "up" if alive else "dead"

    def _owner(self, part: str) -> RegionMesh | RegionData | RegionBackup | RegionMetrics:
        found: dict[str, tuple[RegionMesh | RegionData | RegionBackup | RegionMetrics | None, str, str]] = {
            **dict.fromkeys(regionmetrics.PARTS, (self.metrics, "observers", "global-metrics")),
            **dict.fromkeys(KINDS, (self.data, "stores", "data")),
            backup.VELERO: (self.velero, "Velero", "backup"),
        }
        owner, what, option = found.get(part, (self.mesh, "mesh", "mesh"))
        if owner is None:
            raise LabError(
                f"region {self.net.name} has no {what}; `blackstart lab up --{option}` makes a lab with it"
            )
        return owner

    def _refuse_unless_up(self) -> None:
        # In a frozen region a kill would wait for the thaw, and what is started would stand still.
        if (found := self.state()) != "up":
            raise LabError(f"region {self.net.name} is {found}; `blackstart lab restore {self.net.name}` first")

    def _sweep(self) -> None:
        """Remove what a reboot would: the dead pods' groups and interfaces.

        The kubelet asks containerd, for seconds each, about the container of
        every group that it finds; and a pod that gets the address of a dead
        one loses its route when the dead one's interface goes at last.
        """
        Group(self.cgroups, f"{self.group.name}/kubepods").remove()
        network.remove_pod_links(self.net)

    def _start_control_plane(self, parts: Parts) -> None:
        self._start(
            commands.etcd(parts, self.files),
            commands.api_server(parts, self.files, self.net),
            commands.containerd(parts, self.files),
        )

    def _start_workers(self, parts: Parts) -> None:
        node = self.processes.all()["containerd"].pid
        self._start(
            commands.kubelet(parts, self.files, self.net, node),
            commands.controller_manager(parts, self.files),
            commands.scheduler(parts, self.files),
            commands.kube_proxy(parts, self.files),
            commands.discovery(parts, self.files, self.net),
        )

    def _start(self, *parts: Part) -> None:
        for part in parts:
            self.processes.start(part)

    def _import_images(self, parts: Parts) -> None:
        for archive in nodeimages.archives(parts, self.files.folder / "images"):
            self._import_image(parts, archive)

    def _import_image(self, parts: Parts, archive: Path) -> None:
        node = self.processes.all()["containerd"].pid
        self._wait("containerd", lambda: nodeimages.socket(node).exists() or None, 30)
        self._wait("containerd", lambda: nodeimages.imported(self.processes, node, parts, archive), 60)

    def _wait_for_api(self, deadline: float) -> None:
        self._wait("kube-apiserver", self.api.ready, deadline)

    def _pods(self, deadline: float) -> list[Object]:
        """All pods. No answer is not "none": after a crash that would take old pods for new ones."""
        return wait_for(f"region {self.net.name}: its pods", lambda: self.api.items("/api/v1/pods"), deadline)

    def _wait_until_settled(self, stale: frozenset[str], deadline: float) -> None:
        end = time.monotonic() + deadline
        while True:
            lacking = missing(self.api, stale)
            if not lacking:
                return
            if time.monotonic() > end:
                raise LabError(f"region {self.net.name}: after {deadline:g} s still missing: {lacking}")
            self._check_alive()
            time.sleep(0.1)

    def _wait(self, part: str, look: Callable[[], bool | None], timeout: float) -> None:
        def alive_and() -> bool | None:
            self._check_alive()
            return look()

        wait_for(
            f"region {self.net.name}: {part} ready", alive_and, timeout, hint=f"see {self.processes.logs}/{part}.log"
        )

    def _check_alive(self) -> None:
        """Raises LabError with the log of a part that ended by itself."""
        for name, process in self.processes.all().items():
            if not process.alive():
                raise LabError(
                    f"region {self.net.name}: {name} ended; the end of its log:\n{self.processes.log_tail(name)}"
                )
