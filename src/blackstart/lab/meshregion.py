"""The mesh of one region as it runs: definitions applied, istiod and gateway started, asked whether they serve."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import yaml

from blackstart.lab import mesh, ports
from blackstart.lab.api import Api, Request, ask
from blackstart.lab.meshrules import rules
from blackstart.lab.parts import Parts
from blackstart.lab.processes import Processes
from blackstart.lab.regionfiles import RegionFiles
from blackstart.lab.shell import LabError
from blackstart.lab.topology import RegionNet

PARTS = ("istiod", "gateway")


@dataclass(frozen=True)
class RegionMesh:
    """istiod and ingress gateway of a region whose API server answers."""

    net: RegionNet
    files: RegionFiles
    processes: Processes
    api: Api

    def install(self, parts: Parts) -> None:
        """Apply definitions and mesh configuration, write the gateway's bootstrap. Raises LabError."""
        self.files.gateway_config.write_text(json.dumps(mesh.gateway_config(self.net), indent=1))
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        for definition in yaml.load_all(parts.crds.read_text(), loader):
            if definition:
                self.api.apply(definition)
        for obj in mesh.system_objects():
            self.api.apply(obj)

    def join(self, regions: Sequence[str], remote: Iterable[mesh.Object]) -> None:
        """Apply the demo's rules, and the secrets by which istiod finds the other regions. Raises LabError."""
        for obj in (*rules(regions), *remote):
            self.api.apply(obj)

    def start(self, parts: Parts) -> None:
        """Start what does not run."""
        running = {name for name, process in self.processes.all().items() if process.alive()}
        for part in (mesh.istiod(parts, self.files, self.net), mesh.gateway(parts, self.files.gateway_config)):
            if part.name not in running:
                self.processes.start(part)

    def wait(self, timeout: float) -> None:
        """Until the gateway has a request answered through the mesh. Raises LabError."""
        end = time.monotonic() + timeout
        while missing := self._missing():
            if time.monotonic() > end:
                raise LabError(
                    f"region {self.net.name}: after {timeout:g} s still missing: {missing}; "
                    f"see {self.processes.logs}/istiod.log and gateway.log"
                )
            time.sleep(0.05)

    def _missing(self) -> str:
        for what, port, path in (
            ("istiod", ports.ISTIOD, "/ready"),
            ("an answer through the gateway", ports.GATEWAY, "/healthz"),
        ):
            try:
                if ask(self.api.place, ("127.0.0.1", port), Request("GET", path), 1.0)[0] != 200:
                    return what
            except OSError:
                return what
        return ""
