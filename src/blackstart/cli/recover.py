"""blackstart recover: put back what an earlier run left broken."""

from __future__ import annotations

import os
from pathlib import Path

import click

from blackstart.cli.options import LAB_FLEET

NOT_RESTORED = 14


def _seconds(_context: object, _parameter: object, value: str) -> object:
    from blackstart.schema.base import parse_duration

    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("recover")
@click.option("--run", "run_id", metavar="ID", help="Only this run, even if a process still works on it.")
@click.option("--all", "also_alive", is_flag=True, help="Also runs that still go on.")
@click.option("--dry-run", is_flag=True, help="Say what would be changed, from what to what; change nothing.")
@click.option(
    "--deadline",
    default="60s",
    callback=_seconds,
    show_default=True,
    help="How long a cluster that does not answer is asked again.",
)
@click.option(
    "--fleet",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Use and sweep this fleet file, not those that the records name.",
)
def command(run_id: str | None, also_alive: bool, dry_run: bool, deadline: float, fleet: Path | None) -> int:
    """Put back what an earlier run left broken.

    Reads the undo records below $BLACKSTART_STATE (default .blackstart), and
    the labels, cut links and Leases in the fleet that they name (and in
    $BLACKSTART_FLEET, default .blackstart/lab/fleet.yaml); needs no memory of
    the run. Running it twice changes nothing. What someone else changed since
    is left alone. A store whose primary a drill moved is told, never moved
    back from here. Exit code 0: nothing is left; 14: something is.
    """
    # The Kubernetes client and the faults cost half a second; the help should not.
    from blackstart.evidence.events import EVENTS_FD, emitter
    from blackstart.evidence.undo import Store
    from blackstart.safety.away import settle
    from blackstart.safety.recover import Recovery

    # Started by a run, its evidence hears of it; a person reads the lines.
    emit = emitter(os.environ) if EVENTS_FD in os.environ else lambda body: None
    usual = Path(os.environ.get("BLACKSTART_FLEET") or LAB_FLEET)
    recovery = Recovery(Store(), click.echo, emit, fleet, usual, deadline)
    done = recovery.recover(run_id, also_alive=also_alive, dry_run=dry_run)
    if done:
        click.echo("nothing is outstanding" if recovery.found else "nothing to put back")
    home = settle(Store(), click.echo, fleet, run_id, also_alive=also_alive, dry_run=dry_run)
    return 0 if done and home else NOT_RESTORED
