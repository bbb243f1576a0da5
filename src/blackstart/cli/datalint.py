"""`blackstart lint --data`: what the caller says of the loss, and where the configuration of databases is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from blackstart.cli.lintview import Outcome


def check_data(paths: tuple[Path, ...], fleet: Path | None, rpo: str | None) -> Outcome:
    """Lint databases in files, or of a fleet. Raises BlackstartError when they cannot be read."""
    from blackstart.cli.lintsource import read_source
    from blackstart.cli.lintview import Outcome
    from blackstart.plan.data.check import FORM, RULES, lint_data
    from blackstart.plan.data.files import read_files
    from blackstart.plan.data.live import read_fleet
    from blackstart.plan.data.model import Said
    from blackstart.plan.lint import in_order

    said = Said(None if rpo is None else seconds(rpo))
    source = read_source("data", paths, fleet, said, read_files, read_fleet)
    findings = in_order([*source.problems, *lint_data(source.data)])
    return Outcome(source.read, tuple(findings), (FORM, *RULES))


def seconds(text: str) -> float:
    """What --rpo says. Raises click.UsageError."""
    from blackstart.schema.base import parse_duration

    try:
        found = parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"--rpo: {error}") from None
    return float(str(found))
