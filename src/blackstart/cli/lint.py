"""`blackstart lint`: check content files, or the configuration of a mesh, without changing anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from blackstart.cli.meshlint import MeshOptions, check_mesh

if TYPE_CHECKING:
    from blackstart.cli.lintview import Outcome


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--fleet",
    type=click.Path(path_type=Path),
    help="Also check that this fleet has every role named. With --mesh: read its clusters in place of files.",
)
@click.option("--mesh", is_flag=True, help="Check Istio's configuration: what proves that a failover cannot work.")
@click.option("--replicas", metavar="REGION=N,...", help="With --mesh: replicas of every service, by region.")
@click.option("--regions", metavar="REGION,...", help="With --mesh: the regions, as nodes are labelled with them.")
@click.option("--rto", metavar="DURATION", help="With --mesh: how long a failover may take; 30s if not given.")
@click.option("-o", "--output", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True)
def command(
    paths: tuple[Path, ...],
    fleet: Path | None,
    mesh: bool,
    replicas: str | None,
    regions: str | None,
    rto: str | None,
    output: str,
) -> int:
    """Check content files, or with --mesh the configuration of a mesh; change nothing.

    PATHS are files, or folders that hold drills/, probes/ and experiments/;
    without any, the working directory. With --mesh they are files or folders
    of Istio YAML: a folder that has YAML files is one cluster, a folder of
    folders one cluster for each. Exit code 0: no errors; 2: errors.
    """
    from blackstart.cli.lintview import show

    options = MeshOptions(replicas, regions, rto)
    if mesh:
        if fleet and output == "sarif":
            raise click.UsageError("-o sarif needs lines of files; use -o json with --fleet")
        return show(check_mesh(paths, fleet, options), output)
    if first := options.first:
        raise click.UsageError(f"{first} goes with --mesh")
    return show(_check(paths, fleet), output)


def _check(paths: tuple[Path, ...], fleet: Path | None) -> Outcome:
    from blackstart.cli.lintview import Outcome
    from blackstart.fleet.load import load_fleet
    from blackstart.plan.check import FORM, check, nothing_here
    from blackstart.plan.lint import RULES

    report = check(paths or (Path(),), load_fleet(fleet) if fleet else None)
    if report.files == 0:
        raise nothing_here(paths[0] if paths else Path())
    return Outcome(f"{report.files} files", report.findings, (FORM, *RULES))
