"""Velero of one region as it runs: installed, started, asked, killed by itself."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.lab import backup, logins, ports
from blackstart.lab.api import Api, Request, ask
from blackstart.lab.backup import VELERO, Site
from blackstart.lab.parts import Parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.processes import Processes
from blackstart.lab.regionfiles import RegionFiles
from blackstart.lab.shell import LabError, run, wait_for

_VELERO_API = f"/apis/velero.io/v1/namespaces/{VELERO}"


@dataclass(frozen=True)
class RegionBackup:
    """Velero of a region whose API server answers."""

    site: Site
    paths: LabPaths
    files: RegionFiles
    processes: Processes
    api: Api

    @property
    def folder(self) -> Path:
        return self.files.folder / VELERO

    def content(self, stores: bool) -> list[backup.Object]:
        """What the demo has besides workloads; where there are stores, also what dumps them. Holds keys."""
        return [*backup.content(), *(backup.dumps(self.site, *logins.read_bucket(self.paths)) if stores else ())]

    def install(self, parts: Parts) -> None:
        """Apply Velero's definitions, its location and its schedule, write its credentials. Raises LabError."""
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self.folder / "credentials"
        with open(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as out:
            out.write(backup.credentials(*logins.read_bucket(self.paths)))
        shown = run([str(parts.built["velero"]), "install", "--crds-only", "--dry-run", "--output=json"])
        for definition in json.loads(shown)["items"]:
            self.api.apply(definition)
        for obj in backup.system_objects(self.site):
            self.api.apply(obj)

    def create(self, parts: Parts) -> None:
        """Install and start it. Raises LabError."""
        self.install(parts)
        self.start(parts)

    def start(self, parts: Parts) -> None:
        """Start it where it does not run."""
        if not self.alive(VELERO):
            self.processes.start(backup.server(parts, self.files.kubeconfig(VELERO), self.folder))

    def wait(self, timeout: float) -> None:
        """Until it runs, whatever it thinks of its bucket. Raises LabError."""
        self._wait("Velero answers", self._answers, timeout)

    def wait_for_location(self, timeout: float) -> None:
        """Until it says that its bucket is there. Raises LabError."""
        path = f"{_VELERO_API}/backupstoragelocations/{backup.LOCATION}"
        self._wait("the bucket is there", lambda: self._phase(path) == "Available" or None, timeout)

    def back_up(self, timeout: float) -> None:
        """Make a first backup, as its schedule would. Raises LabError."""
        name = f"{backup.SCHEDULE}-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
        self.api.apply(backup.first_backup(name))

        def done() -> bool | None:
            phase = self._phase(f"{_VELERO_API}/backups/{name}")
            if phase and ("Failed" in phase):
                raise LabError(f"region {self.site.region}: backup {name} ended as {phase}; see {self._log}")
            return phase == "Completed" or None

        self._wait(f"backup {name}", done, timeout)

    def alive(self, part: str) -> bool:
        """Whether it runs. Raises LabError."""
        process = self.processes.all().get(_known(part))
        return process is not None and process.alive()

    def kill_part(self, part: str) -> None:
        """End it with the plug-ins that work for it. Raises LabError."""
        process = self.processes.all().get(_known(part))
        if process and process.alive():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self.processes.kill(part)

    def restore_part(self, part: str, parts: Parts, timeout: float) -> None:
        """Start it, wait until it runs. Raises LabError."""
        _known(part)
        self.start(parts)
        self.wait(timeout)

    @property
    def _log(self) -> Path:
        return self.processes.logs / f"{VELERO}.log"

    def _phase(self, path: str) -> str:
        body = self.api.get(path)
        return str(json.loads(body).get("status", {}).get("phase", "")) if body else ""

    def _answers(self) -> bool | None:
        try:
            return ask(self.api.place, ("127.0.0.1", ports.VELERO_METRICS), Request("GET", "/metrics"), 1.0)[0] == 200
        except OSError:
            return None

    def _wait(self, what: str, look: Any, timeout: float) -> None:
        wait_for(f"region {self.site.region}: {what}", look, timeout, hint=f"see {self._log}")


def _known(part: str) -> str:
    if part != VELERO:
        raise LabError(f"{part!r} is no part of backups; known: {VELERO}")
    return part
