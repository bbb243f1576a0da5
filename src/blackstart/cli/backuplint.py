"""`blackstart lint --backup`: what the caller says of the loss, and where backups are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blackstart.cli.datalint import seconds

if TYPE_CHECKING:
    from blackstart.cli.lintview import Outcome


def check_backups(paths: tuple[Path, ...], fleet: Path | None, rpo: str | None) -> Outcome:
    """Lint backups in files, or of a fleet. Raises BlackstartError when they cannot be read."""
    from blackstart.cli.lintsource import read_source
    from blackstart.cli.lintview import Outcome
    from blackstart.plan.backup.check import FORM, RULES, lint_backups, unasked
    from blackstart.plan.backup.files import read_files
    from blackstart.plan.backup.live import read_fleet
    from blackstart.plan.backup.model import Said
    from blackstart.plan.lint import in_order
    from blackstart.plan.resources import counted

    said = Said(None if rpo is None else seconds(rpo))
    source = read_source("backup", paths, fleet, said, read_files, read_fleet)
    findings = in_order([*source.problems, *lint_backups(source.backups)])
    notes = [note for note in (counted(source.others), unasked(source.backups)) if note]
    return Outcome(source.read, tuple(findings), (FORM, *RULES), "; ".join(notes))
