"""The mesh of one region as it runs: definitions applied, istiod and gateway started, asked, killed by themselves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import yaml

from blackstart.lab import mesh, ports
from blackstart.lab.api import Api, Request, ask
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

    def join(self, rules: Iterable[mesh.Object], remote: Iterable[mesh.Object]) -> None:
        """Apply the demo's rules, and the secrets by which istiod finds the other regions. Raises LabError."""
        for obj in (*rules, *remote):
            self.api.apply(obj)

    def start(self, parts: Parts) -> None:
        """Start what does not run."""
        for name in PARTS:
            self._start(name, parts)

    def wait(self, timeout: float) -> None:
        """Until the gateway has a request answered through the mesh. Raises LabError."""
        self._wait(self._missing, timeout)

    def alive(self, name: str) -> bool:
        """Whether istiod or the gateway runs. Raises LabError."""
        process = self.processes.all().get(_known(name))
        return process is not None and process.alive()

    def kill_part(self, name: str) -> None:
        """End istiod or the gateway; the rest of the region goes on without it. Raises LabError."""
        self.processes.kill(_known(name))

    def restore_part(self, name: str, parts: Parts, timeout: float) -> None:
        """Start istiod or the gateway, wait until it serves. Raises LabError."""
        self._start(_known(name), parts)
        self._wait(lambda: self._missing_of(name), timeout)

    def _start(self, name: str, parts: Parts) -> None:
        if not self.alive(name):
            istiod = name == "istiod"
            self.processes.start(
                mesh.istiod(parts, self.files, self.net) if istiod else mesh.gateway(parts, self.files.gateway_config)
            )

    def _wait(self, look: Callable[[], str], timeout: float) -> None:
        end = time.monotonic() + timeout
        while missing := look():
            if time.monotonic() > end:
                raise LabError(
                    f"region {self.net.name}: after {timeout:g} s still missing: {missing}; "
                    f"see {self.processes.logs}/istiod.log and gateway.log"
                )
            time.sleep(0.05)

    def _missing(self) -> str:
        if self._status(ports.ISTIOD, "/ready") != 200:
            return "istiod"
        return "" if self._status(ports.GATEWAY, "/healthz") == 200 else "an answer through the gateway"

    def _missing_of(self, name: str) -> str:
        if name == "istiod":
            return "" if self._status(ports.ISTIOD, "/ready") == 200 else "istiod"
        if self._status(ports.GATEWAY, "/healthz") is not None:
            return ""  # Whatever it says: what it leads to may be broken on purpose.
        # Its rules come from istiod; without that it can only stand by.
        waits = not self.alive("istiod") and self._status(ports.GATEWAY_ADMIN, "/ready") is not None
        return "" if waits else "an answer of the gateway"

    def _status(self, port: int, path: str) -> int | None:
        try:
            return ask(self.api.place, ("127.0.0.1", port), Request("GET", path), 1.0)[0]
        except OSError:
            return None


def _known(name: str) -> str:
    if name not in PARTS:
        raise LabError(f"{name!r} is no part that can be killed by itself; known: {', '.join(PARTS)}")
    return name
