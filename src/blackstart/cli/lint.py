"""`blackstart lint`: check content files, or the configuration of a mesh, of databases, backups or metrics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from blackstart.cli.backuplint import check_backups
from blackstart.cli.datalint import check_data
from blackstart.cli.meshlint import MeshOptions, check_mesh
from blackstart.cli.metricslint import check_metrics

if TYPE_CHECKING:
    from blackstart.cli.lintview import Outcome


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--fleet",
    type=click.Path(path_type=Path),
    help="Also check that this fleet has every role named. With --mesh and the like: read it in place of files.",
)
@click.option("--mesh", is_flag=True, help="Check Istio's configuration: what proves that a failover cannot work.")
@click.option("--data", is_flag=True, help="Check MariaDB, MySQL and Redis: what proves that writes will be lost.")
@click.option("--backup", is_flag=True, help="Check Velero's backups: what proves that a restore brings too little.")
@click.option("--metrics", is_flag=True, help="Check Prometheus, Thanos, federation: what proves that they lie.")
@click.option("--replicas", metavar="REGION=N,...", help="With --mesh: replicas of every service, by region.")
@click.option("--regions", metavar="REGION,...", help="With --mesh: the regions, as nodes are labelled with them.")
@click.option("--rto", metavar="DURATION", help="With --mesh, --metrics: how long a failover may take; else 30s.")
@click.option("--rpo", metavar="DURATION", help="With --data, --backup: how old what is lost may be; 0s: nothing.")
@click.option("-o", "--output", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True)
def command(
    paths: tuple[Path, ...],
    fleet: Path | None,
    mesh: bool,
    data: bool,
    backup: bool,
    metrics: bool,
    replicas: str | None,
    regions: str | None,
    rto: str | None,
    rpo: str | None,
    output: str,
) -> int:
    """Check content files, or the configuration of a mesh, of databases, backups or metrics; change nothing.

    PATHS are files, or folders that hold drills/, probes/ and experiments/;
    without any, the working directory. With --mesh they are files or folders
    of Istio YAML: a folder that has YAML files is one cluster, a folder of
    folders one cluster for each. With --data: my.cnf, redis.conf, SQL and
    shell files, and ConfigMaps that hold such. With --backup: YAML of Velero
    and of what it backs up, by clusters as with --mesh, and shell files that
    call velero. With --metrics: prometheus.yml, ConfigMaps with it, and the
    workloads of Thanos, by clusters. Exit code 0: no errors; 2: errors.
    """
    from blackstart.cli.lintview import show

    options = MeshOptions(replicas, regions, rto)
    asked = {"--mesh": mesh, "--data": data, "--backup": backup, "--metrics": metrics}
    chosen = [name for name, on in asked.items() if on]
    if len(chosen) > 1:
        raise click.UsageError(f"either {' or '.join(chosen)}, not both")
    if chosen and fleet and output == "sarif":
        raise click.UsageError("-o sarif needs lines of files; use -o json with --fleet")
    if rpo is not None and not (data or backup):
        raise click.UsageError("--rpo goes with --data or --backup")
    if mesh:
        return show(check_mesh(paths, fleet, options), output)
    if metrics and options.replicas is None and options.regions is None:
        return show(check_metrics(paths, fleet, rto), output)
    if first := options.first:
        raise click.UsageError(f"{first} goes with --mesh" + (" or --metrics" if first == "--rto" else ""))
    if data:
        return show(check_data(paths, fleet, rpo), output)
    if backup:
        return show(check_backups(paths, fleet, rpo), output)
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
