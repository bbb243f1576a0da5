"""What sees every region, as it runs: a Thanos querier and a federating Prometheus, in the observer's namespace."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from blackstart.fleet.model import Place
from blackstart.lab import observers, ports
from blackstart.lab.api import Request, ask
from blackstart.lab.cgroups import ROOT, Group, Hierarchy
from blackstart.lab.observers import FEDERATION, QUERIER, federation_job
from blackstart.lab.parts import Parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.processes import Part, Processes
from blackstart.lab.shell import wait_for
from blackstart.lab.topology import OBSERVER, Topology

_ASK = 2.0


@dataclass(frozen=True)
class GlobalMetrics:
    """They reach a region over the observer's link to it: what cuts that link takes the region from their sight."""

    net: Topology
    paths: LabPaths
    cgroups: Hierarchy

    @property
    def group(self) -> Group:
        return Group(self.cgroups, f"{ROOT}/{OBSERVER}/sys")

    @cached_property
    def processes(self) -> Processes:
        return Processes(self.net.observer, self.paths.member(OBSERVER), self.group)

    def start(self, parts: Parts) -> None:
        """Start the federation. The querier follows in `wait`."""
        folder = self.paths.member(OBSERVER)
        folder.mkdir(parents=True, exist_ok=True)
        self.group.make()
        config = folder / "federation.json"
        config.write_text(json.dumps(observers.federation_config(self.net.at(OBSERVER, ports.PROMETHEUS)), indent=1))
        self._start(observers.federation(parts, config, folder / FEDERATION))

    def wait(self, parts: Parts, timeout: float) -> None:
        """Until both see every region, whose sidecars answer. Raises LabError."""
        # One that lacks a store at its start is blind to the others, too, and looks again after five seconds only.
        stores = self.paths.member(OBSERVER) / "stores.json"
        stores.write_text(json.dumps(observers.stores_config(self.net.at(OBSERVER, ports.STORE_API)), indent=1))
        self._start(observers.querier(parts, stores))
        regions = {region.name for region in self.net.regions}
        jobs = {federation_job(region) for region in regions}
        self._wait(QUERIER, ports.QUERIER, "count by (region) (up)", "region", regions, timeout)
        self._wait(FEDERATION, ports.PROMETHEUS, 'up{job=~"federate-.*"} == 1', "job", jobs, timeout)

    def _start(self, part: Part) -> None:
        process = self.processes.all().get(part.name)
        if process is None or not process.alive():
            self.processes.start(part)

    def _wait(self, name: str, port: int, query: str, label: str, wanted: set[str], timeout: float) -> None:
        observer = Place(netns=self.net.observer.netns)
        request = Request("GET", f"/api/v1/query?query={quote(query)}")

        def seen() -> bool | None:
            try:
                status, body = ask(observer, ("127.0.0.1", port), request, _ASK)
            except OSError:
                return None
            if status != 200:
                return None
            found = {series["metric"].get(label) for series in json.loads(body)["data"]["result"]}
            return wanted <= found or None

        wait_for(f"the {name} sees every region", seen, timeout, hint=f"see {self.processes.logs}/{name}.log")
