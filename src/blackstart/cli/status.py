"""blackstart status: what goes on in a fleet, and what earlier runs left there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from blackstart.cli.options import fleet_option

if TYPE_CHECKING:
    from blackstart.safety.status import Status

LEFT = 14

_TABLES = {
    "runs": "Runs",
    "locks": "Locks",
    "leases": "Leases of runs",
    "outstanding": "Outstanding undo",
    "guardians": "Guardians",
    "roles": "Cluster roles",
    "cuts": "Cut links",
    "stores": "Stores away from home",
}


@click.command("status")
@fleet_option("The fleet to look at.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(fleet: Path, output: str) -> int:
    """Say which runs go on, who holds locks, and what is still to be put back.

    Changes nothing. Exit code 0; 14 when something is left that nobody who is
    alive works on (`blackstart recover` puts it back), or may be left, because
    a cluster does not answer, or a store's primary is away from home (which
    takes a procedure to end).
    """
    # The Kubernetes client costs half a second; the help should not.
    from blackstart.evidence.undo import Store
    from blackstart.fleet.load import load_fleet
    from blackstart.safety.status import status

    found = status(Store(), load_fleet(fleet))
    if output == "json":
        click.echo(json.dumps(found.plain(), indent=2))
    else:
        _print(found)
    return LEFT if found.ownerless else 0


def _print(found: Status) -> None:
    for key, title in _TABLES.items():
        rows = [asdict(row) for row in getattr(found, key)]
        click.echo(f"{title}: none" if not rows else f"{title}:")
        if rows:
            _table(list(rows[0]), [[_text(value) for value in row.values()] for row in rows])
    for name, why in found.away.items():
        click.echo(f"not known: {name}: {why}")
    for path in found.damaged:
        click.echo(f"damaged: {path}")
    if found.ownerless:
        click.echo("something is left, or may be, that nobody works on; see `blackstart recover --dry-run`")


def _table(columns: Sequence[str], rows: list[list[str]]) -> None:
    widths = [max(len(line[i]) for line in [list(columns), *rows]) for i in range(len(columns))]
    for line in [list(columns), *rows]:
        click.echo("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
