"""Where a lab keeps its state: `.blackstart/lab` of the folder in which it was started, unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT = Path(".blackstart/lab")


@dataclass(frozen=True)
class LabPaths:
    """The state folder, an absolute path."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "lab.json"

    @property
    def kind(self) -> Path:
        """The record of a lab made by kind; a native one has none."""
        return self.root / "kind.json"

    @property
    def fleet(self) -> Path:
        return self.root / "fleet.yaml"

    @property
    def events(self) -> Path:
        return self.root / "events.ndjson"

    @property
    def secrets(self) -> Path:
        """Passwords of the stores and keys of the bucket, a file each."""
        return self.root / "secrets"

    def member(self, name: str) -> Path:
        return self.root / name

    def kubeconfig(self, region: str) -> Path:
        return self.root / region / "kubeconfig"
