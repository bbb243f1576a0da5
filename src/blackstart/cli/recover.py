"""blackstart recover: put back what an earlier run left broken."""

from __future__ import annotations

import os
from pathlib import Path

import click

from blackstart.schema.errors import BlackstartError

NOT_RESTORED = 14


@click.command("recover")
@click.option("--run", "run_id", metavar="ID", help="Only this run, even if a process still works on it.")
@click.option("--all", "also_alive", is_flag=True, help="Also runs that still go on.")
@click.option("--dry-run", is_flag=True, help="Say what would be put back; change nothing.")
@click.option(
    "--fleet",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Use this fleet file, not the one that the records name.",
)
def command(run_id: str | None, also_alive: bool, dry_run: bool, fleet: Path | None) -> int:
    """Put back what an earlier run left broken, newest first.

    Reads the undo records below $BLACKSTART_STATE (default .blackstart); needs
    no memory of the run. Running it twice changes nothing. Exit code 0:
    nothing is outstanding; 14: something is not put back.
    """
    # The Kubernetes client and the faults cost half a second; the help should not.
    from blackstart.evidence.events import EVENTS_FD, emitter
    from blackstart.evidence.undo import Store
    from blackstart.run.recover import Recovery

    store = Store()
    if run_id is not None and run_id not in store.runs():
        raise BlackstartError(f"no run {run_id!r} in {store.state}/undo; known: {', '.join(store.runs()) or 'none'}")
    # Started by a run, its evidence hears of it; a person reads the lines.
    emit = emitter(os.environ) if EVENTS_FD in os.environ else lambda body: None
    done = Recovery(store, click.echo, emit, fleet).recover(run_id, also_alive=also_alive, dry_run=dry_run)
    if done:
        click.echo("nothing is outstanding")
    return 0 if done else NOT_RESTORED
