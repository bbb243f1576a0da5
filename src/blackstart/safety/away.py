"""Stores whose primary is away from home: told with the next step, closed once they are at home again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from blackstart.evidence.promotions import Promotion, Promotions
from blackstart.evidence.undo import Store
from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet
from blackstart.procedures import steady
from blackstart.schema.errors import BlackstartError


def settle(
    store: Store,
    say: Callable[[str], None],
    fleet: Path | None = None,
    run: str | None = None,
    *,
    also_alive: bool = False,
    dry_run: bool = False,
) -> bool:
    """Tell of every store that is away, and close those that are at home again; whether none is left.

    A promotion is never undone from here: that takes a procedure. `fleet`: a
    file to use in place of the one that the record names.
    """
    promotions = Promotions(store.state)
    found, damaged = promotions.read()
    for path in damaged:
        say(f"{path}: cannot be read; look at the store by hand, then remove it")
    mine = [each for each in found if run in (None, each.run)]
    left = [each for each in mine if also_alive or not store.is_alive(each.run)]
    kept = [each for each in left if not _home(promotions, each, say, fleet, dry_run=dry_run)]
    return not kept and not damaged


def _home(
    promotions: Promotions, found: Promotion, say: Callable[[str], None], file: Path | None, *, dry_run: bool
) -> bool:
    try:
        said = _look(promotions, found, file)
    except (steady.Unsteady, BlackstartError) as error:
        say(f"{found}: {error}; next: {found.advice}")
        return False
    if dry_run:
        say(f"store {found.store} of fleet {found.fleet}: at home again ({said}); would be closed")
        return False
    promotions.close(found)
    say(f"store {found.store} of fleet {found.fleet}: at home again ({said}); closed")
    return True


def _look(promotions: Promotions, found: Promotion, file: Path | None) -> str:
    fleet: Fleet = load_fleet(file or Path(found.fleet_file))
    if fleet.fleet != found.fleet or found.store not in fleet.stores:
        raise steady.Unsteady(f"{file or found.fleet_file} has no such store; name another --fleet")
    if not found.of(fleet):
        raise steady.Unsteady(
            f"{file or found.fleet_file} is of other clusters by now; name the right file with --fleet; if the "
            f"clusters {', '.join(found.clusters.values())} are no more, remove {promotions.path(found)}"
        )
    if found.rebuilding:
        raise steady.Unsteady("data is incomplete there")
    if found.fences:
        raise steady.Unsteady(f"{', '.join(found.fences)} may still refuse writes by min-replicas-to-write")
    return steady.look(fleet, found.store)
