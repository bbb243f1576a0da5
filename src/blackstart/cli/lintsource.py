"""Where `blackstart lint` reads a configuration: files and folders, or the fleet that runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet


def read_source[Said, Source](
    option: str,
    paths: tuple[Path, ...],
    fleet: Path | None,
    said: Said,
    files: Callable[[Sequence[Path], Said], Source],
    live: Callable[[Fleet, Said], Source],
) -> Source:
    """From one of both; the working directory where neither is named. Raises click.UsageError, BlackstartError."""
    if fleet and paths:
        raise click.UsageError(f"with --{option} either PATHS or --fleet, not both")
    return live(load_fleet(fleet), said) if fleet else files(paths or (Path(),), said)
