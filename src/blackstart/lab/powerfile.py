"""The power switch of a native lab's region, or of a part of it, in fleet.yaml. Pure."""

from __future__ import annotations

import sys
from typing import Any

from blackstart.lab.paths import LabPaths


def power(region: str, paths: LabPaths, part: str | None = None, *, freezes: bool = False) -> dict[str, Any]:
    """Commands of this Python's own `blackstart lab`; `freezes`: also the one that lets it stand still."""
    lab, state = [sys.executable, "-m", "blackstart", "lab"], ["--state", str(paths.root)]
    more = ["--part", part] if part else []
    known = ("kill", "restore", "state", *(("freeze",) if freezes else ()))
    commands = {command: [*lab, command, region, *more, *state] for command in known}
    return {**commands, "deadline": "120s"}
