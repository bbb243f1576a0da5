"""Which provider made the lab of a state folder."""

from __future__ import annotations

from typing import Literal

from blackstart.lab.paths import LabPaths

Provider = Literal["native", "kind"]


def provider_of(paths: LabPaths) -> Provider:
    """`kind` when its record is there."""
    return "kind" if (paths.root / "kind.json").exists() else "native"
