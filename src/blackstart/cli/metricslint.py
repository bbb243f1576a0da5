"""`blackstart lint --metrics`: what the caller says of a failover, and where metrics are configured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from blackstart.cli.meshlint import rto_seconds

if TYPE_CHECKING:
    from blackstart.cli.lintview import Outcome


def check_metrics(paths: tuple[Path, ...], fleet: Path | None, rto: str | None) -> Outcome:
    """Lint metrics in files, or of a fleet. Raises BlackstartError when they cannot be read."""
    from blackstart.cli.lintview import Outcome
    from blackstart.plan.lint import in_order
    from blackstart.plan.metrics.check import FORM, RULES, lint_metrics
    from blackstart.plan.metrics.files import read_files
    from blackstart.plan.metrics.model import Said

    said = Said() if rto is None else Said(rto_seconds(rto))
    if fleet and paths:
        raise click.UsageError("with --metrics either PATHS or --fleet, not both")
    if fleet:
        from blackstart.fleet.load import load_fleet
        from blackstart.plan.metrics.live import read_fleet

        source = read_fleet(load_fleet(fleet), said)
    else:
        source = read_files(paths or (Path(),), said)
    findings = in_order([*source.problems, *lint_metrics(source.metrics)])
    return Outcome(source.read, tuple(findings), (FORM, *RULES))
