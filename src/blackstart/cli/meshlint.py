"""`blackstart lint --mesh`: what the caller says of the mesh, and where its configuration is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from blackstart.cli.lintview import Outcome
    from blackstart.plan.mesh.model import Said

_REGION = r"[A-Za-z0-9][\w.-]*"


@dataclass(frozen=True)
class MeshOptions:
    """The options that go with --mesh, as they were written."""

    replicas: str | None
    regions: str | None
    rto: str | None

    @property
    def first(self) -> str | None:
        """The first one that was given."""
        return next((f"--{name}" for name, value in vars(self).items() if value is not None), None)

    def parsed(self) -> Said:
        """What they say. Raises click.UsageError."""
        from blackstart.plan.mesh.model import Said

        said = Said(regions=_regions(self.regions), replicas=_replicas(self.replicas))
        return said if self.rto is None else Said(said.regions, said.replicas, rto_seconds(self.rto))


def check_mesh(paths: tuple[Path, ...], fleet: Path | None, options: MeshOptions) -> Outcome:
    """Lint the mesh in files, or of a fleet. Raises BlackstartError when it cannot be read."""
    from blackstart.cli.lintsource import read_source
    from blackstart.cli.lintview import Outcome
    from blackstart.plan.lint import in_order
    from blackstart.plan.mesh.check import FORM, RULES, lint_mesh
    from blackstart.plan.mesh.files import read_files
    from blackstart.plan.mesh.live import read_fleet
    from blackstart.plan.resources import counted

    said = options.parsed()
    source = read_source("mesh", paths, fleet, said, read_files, read_fleet)
    findings = in_order([*source.problems, *lint_mesh(source.mesh)])
    return Outcome(source.read, tuple(findings), (FORM, *RULES), counted(source.others))


def _regions(text: str | None) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")] if text is not None else []
    if not all(re.fullmatch(_REGION, name) for name in names):
        raise click.UsageError(f"--regions {text!r}: write us,eu")
    return tuple(names)


def _replicas(text: str | None) -> dict[str, int]:
    parts = [part.strip() for part in text.split(",")] if text is not None else []
    if not all(re.fullmatch(rf"{_REGION}=\d{{1,6}}", part) for part in parts):
        raise click.UsageError(f"--replicas {text!r}: write us=3,eu=3")
    return {name: int(count) for name, _, count in (part.partition("=") for part in parts)}


def rto_seconds(text: str) -> float:
    """What --rto says. Raises click.UsageError."""
    from blackstart.schema.base import parse_duration

    try:
        found = parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"--rto {error}") from None
    if not isinstance(found, float) or found <= 0:
        raise click.UsageError(f"--rto {text!r}: must be longer than 0")
    return found
