"""`blackstart lint`: check content files, or the configuration of a mesh or of databases; changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from blackstart.cli.datalint import check_data
from blackstart.cli.meshlint import MeshOptions, check_mesh

if TYPE_CHECKING:
    from blackstart.cli.lintview import Outcome


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--fleet",
    type=click.Path(path_type=Path),
    help="Also check that this fleet has every role named. With --mesh, --data: read that fleet in place of files.",
)
@click.option("--mesh", is_flag=True, help="Check Istio's configuration: what proves that a failover cannot work.")
@click.option("--data", is_flag=True, help="Check MariaDB, MySQL and Redis: what proves that writes will be lost.")
@click.option("--replicas", metavar="REGION=N,...", help="With --mesh: replicas of every service, by region.")
@click.option("--regions", metavar="REGION,...", help="With --mesh: the regions, as nodes are labelled with them.")
@click.option("--rto", metavar="DURATION", help="With --mesh: how long a failover may take; 30s if not given.")
@click.option("--rpo", metavar="DURATION", help="With --data: how old a lost write may be; 0s: none may be lost.")
@click.option("-o", "--output", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True)
def command(
    paths: tuple[Path, ...],
    fleet: Path | None,
    mesh: bool,
    data: bool,
    replicas: str | None,
    regions: str | None,
    rto: str | None,
    rpo: str | None,
    output: str,
) -> int:
    """Check content files, or the configuration of a mesh (--mesh) or of databases (--data); change nothing.

    PATHS are files, or folders that hold drills/, probes/ and experiments/;
    without any, the working directory. With --mesh they are files or folders
    of Istio YAML: a folder that has YAML files is one cluster, a folder of
    folders one cluster for each. With --data: my.cnf, redis.conf, SQL and
    shell files, and ConfigMaps that hold such. Exit code 0: no errors; 2: errors.
    """
    from blackstart.cli.lintview import show

    options = MeshOptions(replicas, regions, rto)
    if mesh and data:
        raise click.UsageError("either --mesh or --data, not both")
    if (mesh or data) and fleet and output == "sarif":
        raise click.UsageError("-o sarif needs lines of files; use -o json with --fleet")
    if rpo is not None and not data:
        raise click.UsageError("--rpo goes with --data")
    if mesh:
        return show(check_mesh(paths, fleet, options), output)
    if first := options.first:
        raise click.UsageError(f"{first} goes with --mesh")
    if data:
        return show(check_data(paths, fleet, rpo), output)
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
