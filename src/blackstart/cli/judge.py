"""`blackstart judge`: judge the evidence of a run again."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("judge")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--write", is_flag=True, help="Also rewrite result.json and the reports in RUN.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(run: Path, write: bool, as_json: bool) -> int:
    """Judge the evidence of a run again, from the evidence alone.

    RUN is a folder such as reports/<run-id>. The exit code is that of the
    result, as for `blackstart run`.
    """
    from blackstart.cli.resultview import show
    from blackstart.run.publish import judge_folder, publish

    result, lines = judge_folder(run)
    if write:
        publish(run, result, lines)
    if as_json:
        click.echo(result.model_dump_json(indent=2))
    else:
        show(result, run, sys.stdout)
    return result.exit_code
