"""`blackstart plan`: what a run would do, told without doing it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from blackstart.cli.options import fleet_option, settings_option

INCOMPLETE = 12


@click.command("plan")
@click.argument("drill")
@fleet_option("The fleet that it would run on.")
@settings_option()
@click.option("--offline", is_flag=True, help="Ask no cluster, balancer or store: no forecast.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(drill: str, fleet: Path, settings: dict[str, str], offline: bool, output: str) -> int:
    """Say what a run of a drill would do; change nothing.

    DRILL is a name or a file of drills/*.yaml. What would be broken and who
    puts it back, the locks, the guardians with their rights, what the operator
    must be allowed to do, how long it takes, and by the configuration of
    clusters and balancers what clients should feel; where an objective lets
    nothing be lost, what its stores lack for that. Where these do not answer
    there is no forecast; the rest asks only for actions that choose among what
    is there. Exit code 0; 12 when the run would be refused, or something but
    the forecast is not known because a cluster does not answer; 2 wrong usage
    or files.
    """
    from blackstart.cli.planview import text
    from blackstart.plan.data.nothing import nothing_lost
    from blackstart.plan.forecast.live import forecasts, nothing_read
    from blackstart.plan.outline import outline
    from blackstart.plan.resolve import make_plan

    plan = make_plan(drill, fleet, settings)
    plan = plan if offline else replace(plan, notes=(*plan.notes, *nothing_lost(plan)))
    found = outline(plan, nothing_read(plan, "asked for offline") if offline else forecasts(plan))
    click.echo(json.dumps(found.plain(), indent=2, ensure_ascii=False) if output == "json" else text(found))
    return INCOMPLETE if found.problems else 0
