"""`blackstart lint --metrics`: what the caller says of a failover, and where metrics are configured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blackstart.cli.meshlint import rto_seconds

if TYPE_CHECKING:
    from blackstart.cli.lintview import Outcome


def check_metrics(paths: tuple[Path, ...], fleet: Path | None, rto: str | None) -> Outcome:
    """Lint metrics in files, or of a fleet. Raises BlackstartError when they cannot be read."""
    from blackstart.cli.lintsource import read_source
    from blackstart.cli.lintview import Outcome
    from blackstart.plan.lint import in_order
    from blackstart.plan.metrics.check import FORM, RULES, lint_metrics
    from blackstart.plan.metrics.files import read_files
    from blackstart.plan.metrics.live import read_fleet
    from blackstart.plan.metrics.model import Said

    said = Said() if rto is None else Said(rto_seconds(rto))
    source = read_source("metrics", paths, fleet, said, read_files, read_fleet)
    findings = in_order([*source.problems, *lint_metrics(source.metrics)])
    return Outcome(source.read, tuple(findings), (FORM, *RULES))
