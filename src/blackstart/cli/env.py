"""blackstart env: the environment for plain `chaos run`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from blackstart.cli.options import fleet_option


@click.command("env")
@fleet_option("The fleet that the experiments are for.")
def command(fleet: Path) -> None:
    """Print shell lines that prepare plain `chaos run`: eval "$(blackstart env)".

    They name the fleet, the kube context of every role, and a kubeconfig that
    has all of the fleet's clusters but no current context.
    """
    from blackstart.evidence.undo import state_folder
    from blackstart.fleet.environment import environment
    from blackstart.fleet.load import load_fleet

    for name, value in environment(load_fleet(fleet), state_folder()).items():
        click.echo(f"export {name}={shlex.quote(value)}")
    click.echo("unset KUBERNETES_CONTEXT")
