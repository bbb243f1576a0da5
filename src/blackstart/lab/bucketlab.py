"""The bucket of a lab's backups as it runs: an S3 server in a namespace outside all regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from blackstart.fleet.model import Place
from blackstart.lab import backup, logins, ports
from blackstart.lab.api import Request, ask
from blackstart.lab.cgroups import ROOT, Group, Hierarchy
from blackstart.lab.parts import Parts
from blackstart.lab.paths import LabPaths
from blackstart.lab.processes import Processes
from blackstart.lab.shell import LabError, wait_for
from blackstart.lab.topology import STORE, Member

State = Literal["up", "dead", "frozen"]


@dataclass(frozen=True)
class BucketLab:
    """The S3 server, with a power switch like a region's."""

    member: Member
    paths: LabPaths
    cgroups: Hierarchy

    @property
    def folder(self) -> Path:
        return self.paths.member(STORE)

    @property
    def group(self) -> Group:
        return Group(self.cgroups, f"{ROOT}/{STORE}/sys")

    @cached_property
    def processes(self) -> Processes:
        return Processes(self.member, self.folder, self.group)

    def start(self, parts: Parts) -> None:
        """Start it where it does not run; what is in it stays."""
        if not self._alive():
            for bucket in (backup.BUCKET, backup.DUMPS):
                (self.folder / "data" / bucket).mkdir(parents=True, exist_ok=True)
            self.group.make()
            self.processes.start(backup.bucket(parts, self.folder, *logins.read_bucket(self.paths)))

    def wait(self, timeout: float) -> None:
        """Until it answers. Raises LabError."""
        hint = f"see {self.processes.logs}/rclone.log"
        wait_for("the bucket answers", self._answers, timeout, hint=hint)

    def kill(self) -> None:
        """End it: whoever asks it is refused, or his connection is reset."""
        self.group.kill()
        self.processes.forget()

    def freeze(self) -> None:
        """Stop it where it stands; connections hang. Raises LabError when it is dead."""
        if self.state() == "dead":
            raise LabError(f"the bucket is dead; `blackstart lab restore {STORE}` first")
        self.group.freeze()

    def restore(self, parts: Parts, timeout: float, settle: Callable[[], None] = lambda: None) -> None:
        """Bring it back with its backups, from any state. Raises LabError."""
        self.group.thaw()
        self.start(parts)
        self.wait(timeout)
        settle()

    def state(self) -> State:
        """Whether it runs."""
        if self.group.frozen():
            return "frozen"
        return "up" if self._alive() else "dead"

    def kill_part(self, part: str) -> None:
        """It has no parts. Raises LabError."""
        raise LabError(f"the bucket has no part {part!r}; leave --part out")

    def freeze_part(self, part: str) -> None:
        """As `kill_part`."""
        self.kill_part(part)

    def restore_part(self, part: str, parts: Parts, deadline: float) -> None:
        """As `kill_part`."""
        self.kill_part(part)

    def part_state(self, part: str) -> State:
        """As `kill_part`."""
        self.kill_part(part)
        return self.state()

    def _alive(self) -> bool:
        process = self.processes.all().get("rclone")
        return process is not None and process.alive()

    def _answers(self) -> bool | None:
        if not self._alive():
            raise LabError(f"the S3 server ended; the end of its log:\n{self.processes.log_tail('rclone')}")
        try:
            ask(Place(netns=self.member.netns), ("127.0.0.1", ports.S3), Request("GET", "/"), 1.0)
        except OSError:
            return None
        return True
