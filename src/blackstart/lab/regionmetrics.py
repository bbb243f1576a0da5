"""The Prometheus of one region as it runs, and its Thanos sidecar: started, stopped, killed by themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from blackstart.lab import commands, observers, ports
from blackstart.lab.api import Api, Request, ask
from blackstart.lab.observers import PROMETHEUS, SIDECAR
from blackstart.lab.parts import Parts
from blackstart.lab.processes import Processes
from blackstart.lab.regionfiles import RegionFiles
from blackstart.lab.shell import LabError, wait_for
from blackstart.lab.topology import RegionNet

PARTS = (PROMETHEUS, SIDECAR)


@dataclass(frozen=True)
class RegionMetrics:
    """What observes a region from inside: Prometheus in every lab, a sidecar where Thanos runs."""

    net: RegionNet
    files: RegionFiles
    processes: Processes
    api: Api
    has_sidecar: bool

    def start(self, parts: Parts) -> None:
        """Start Prometheus, or let it go on. The sidecar follows in `wait`."""
        self._start(PROMETHEUS, parts)

    def wait(self, parts: Parts, timeout: float) -> None:
        """Until both answer. Raises LabError."""
        self._wait(PROMETHEUS, timeout)
        if self.has_sidecar:
            # What it does not find at its start it looks for again after five seconds only.
            self._while_alive(PROMETHEUS, "has samples", self._has_samples, timeout)
            self._start(SIDECAR, parts)
            self._wait(SIDECAR, timeout)

    def alive(self, name: str) -> bool:
        """Whether it is there, standing still or not. Raises LabError."""
        process = self.processes.all().get(self._known(name))
        return process is not None and process.alive()

    def kill_part(self, name: str) -> None:
        """End one; the rest of the region goes on without it. Raises LabError."""
        self.processes.kill(self._known(name))

    def freeze_part(self, name: str) -> None:
        """Let one stand still: connections to it hang. Raises LabError."""
        if not self.alive(name):
            raise LabError(f"{name} of {self.net.name} is dead; `blackstart lab restore` with --part {name} first")
        self.processes.freeze(name)

    def restore_part(self, name: str, parts: Parts, timeout: float) -> None:
        """Start one, or let it go on; wait until it answers. Raises LabError."""
        self._start(self._known(name), parts)
        self._wait(name, timeout)

    def _start(self, name: str, parts: Parts) -> None:
        if self.processes.frozen(name):
            self.processes.thaw(name)
        elif not self.alive(name):
            tsdb = self.files.folder / "prometheus"
            beside = name == SIDECAR
            self.processes.start(observers.sidecar(parts, tsdb) if beside else commands.prometheus(parts, self.files))

    def _wait(self, name: str, timeout: float) -> None:
        self._while_alive(name, "answers", lambda: self._answers(name), timeout)

    def _while_alive(self, name: str, does: str, so: Callable[[], bool], timeout: float) -> None:
        """Until it does; raises LabError also when it ends."""

        def look() -> bool | None:
            if not self.alive(name):
                raise LabError(f"region {self.net.name}: {name} ended; its log:\n{self.processes.log_tail(name)}")
            return so() or None

        hint = f"see the logs in {self.processes.logs}"
        wait_for(f"region {self.net.name}: {name} {does}", look, timeout, hint=hint)

    def _has_samples(self) -> bool:
        body = self._get(ports.PROMETHEUS, "/api/v1/query?query=up")
        return bool(body and json.loads(body)["data"]["result"])

    def _answers(self, name: str) -> bool:
        prometheus = self._get(ports.PROMETHEUS, "/-/ready") is not None
        if name == PROMETHEUS:
            return prometheus
        # Without its Prometheus it can only stand by.
        return self._get(ports.SIDECAR, "/-/ready" if prometheus else "/-/healthy") is not None

    def _get(self, port: int, path: str) -> bytes | None:
        """The body of a 200."""
        try:
            status, body = ask(self.api.place, ("127.0.0.1", port), Request("GET", path), 1.0)
        except OSError:
            return None
        return body if status == 200 else None

    def _known(self, name: str) -> str:
        if name not in PARTS:
            raise LabError(f"{name!r} observes nothing here; known: {', '.join(PARTS)}")
        if name == SIDECAR and not self.has_sidecar:
            raise LabError(
                f"region {self.net.name} has no sidecar; `blackstart lab up --global-metrics` makes a lab with it"
            )
        return name
