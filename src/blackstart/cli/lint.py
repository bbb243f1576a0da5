"""`blackstart lint`: check content files without touching any cluster."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from blackstart.schema.errors import Finding, path_text

if TYPE_CHECKING:
    from blackstart.plan.check import Report


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--fleet", type=click.Path(path_type=Path), help="Also check that this fleet has every role named.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(paths: tuple[Path, ...], fleet: Path | None, output: str) -> int:
    """Check content files without touching any cluster.

    PATHS are files, or folders that hold drills/, probes/ and experiments/;
    without any, the working directory. Exit code 0: no errors; 2: errors.
    """
    from blackstart.fleet.load import load_fleet
    from blackstart.plan.check import check, nothing_here

    report = check(paths or (Path(),), load_fleet(fleet) if fleet else None)
    if report.files == 0:
        raise nothing_here(paths[0] if paths else Path())
    if output == "json":
        click.echo(json.dumps([_json(finding) for finding in report.findings], indent=2))
    else:
        _print(report)
    return 0 if report.ok else 2


def _print(report: Report) -> None:
    for finding in report.findings:
        click.echo(str(finding))
    counts = Counter(finding.severity for finding in report.findings)
    found = ", ".join(f"{n} {severity}{'s' if n > 1 else ''}" for severity, n in counts.items()) or "nothing to say"
    click.echo(f"{report.files} files checked: {found}", err=True)


def _json(finding: Finding) -> dict[str, object]:
    return {
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "path": path_text(finding.path),
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
        "fix": finding.fix,
    }
