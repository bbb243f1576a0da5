"""`blackstart verify`: check that the evidence of a run was not changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from blackstart.schema.errors import BlackstartError

if TYPE_CHECKING:
    from blackstart.evidence.reader import Verification

ALTERED = 12


@click.command("verify")
@click.argument("run", type=click.Path(path_type=Path))
def command(run: Path) -> int:
    """Check that the evidence of a run was not changed.

    RUN is a folder such as reports/<run-id>. Exit code 0: every record is as
    it was written and the run came to its end; 12: something was edited, cut
    or swapped, or the record ends before the run does.
    """
    from blackstart.evidence.reader import EVIDENCE, SUMS, changed_files, verify

    try:
        found = verify(run / EVIDENCE)
        has_sums = (run / SUMS).exists()
        changed = changed_files(run) if has_sums else []
    except OSError as error:
        raise BlackstartError(f"{error.filename}: {error.strerror}; name a folder that a run wrote") from error
    if found.complete and not has_sums:
        # Without it nobody can tell whether the last line was edited.
        changed = [f"{SUMS}: missing"]
    if found.intact:
        changed += _ledger(run)
    for line in [*_chain(found), *changed]:
        click.echo(f"{run}: {line}")
    if not found.complete or changed:
        return ALTERED
    click.echo(f"{run}: {found.lines} lines, and every file, are as they were when the run ended; head {found.head}")
    return 0


def _ledger(run: Path) -> list[str]:
    """The ledger against the digests in the evidence: who rewrites SHA256SUMS does not get away with it."""
    from blackstart.evidence.reader import EVIDENCE, read
    from blackstart.evidence.written import Writes
    from blackstart.ledger.records import altered

    problem = altered(run, [line.body for line in read(run / EVIDENCE) if isinstance(line.body, Writes)])
    return [problem] if problem else []


def _chain(found: Verification) -> Iterator[str]:
    if found.problem:
        yield f"ALTERED: evidence, {found.problem}; the {found.lines} lines before it are good"
    elif found.torn:
        yield f"the evidence ends in half a line, as after a crash; {found.lines} whole lines are good"
    elif not found.ended:
        yield f"{found.lines} lines are good, but the record of the run's end is missing"
