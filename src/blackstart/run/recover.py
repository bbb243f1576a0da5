"""Puts back what runs left broken, from the undo store alone, without any memory of the runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from blackstart.evidence.events import Emit
from blackstart.evidence.records import FaultState
from blackstart.evidence.undo import Entry, Store
from blackstart.faults.inject import Context, restore, told
from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet

Say = Callable[[str], None]


@dataclass
class Recovery:
    """Puts faults back one after another. `fleet`: a file to use in place of the one that the records name."""

    store: Store
    say: Say
    emit: Emit
    fleet: Path | None = None
    _fleets: dict[Path, Fleet] = field(default_factory=dict)

    def recover(self, run: str | None = None, *, also_alive: bool = False, dry_run: bool = False) -> bool:
        """Put back one run, or every run that nobody works on any more; whether nothing is left.

        One problem does not stop the others; each fault gets one line. Newest
        first. `also_alive`: runs that still go on, too.
        """
        contents = self.store.read(run)
        for path in contents.damaged:
            self.say(f"{path}: damaged, cannot be read; look at the other records of the run in its folder")
        done = not contents.damaged
        for entry in contents.outstanding:
            if run is None and not also_alive and self.store.is_alive(entry.undo.run):
                self.say(f"{_name(entry)}: left alone, its run still goes on; name it with --run, or use --all")
                done = False
            elif dry_run:
                self.say(f"{_name(entry)}: {entry.state}; would put back {entry.undo.before or 'what was there'}")
                done = False
            else:
                done &= self._one(entry)
        return done

    def _one(self, entry: Entry) -> bool:
        context = Context(entry.undo.run, self.store, self.emit)
        try:
            state = restore(entry, self._fleet_of(entry), context)
        except Exception as error:  # noqa: BLE001 - nothing that goes wrong with one may keep the others broken
            self.say(f"{_name(entry)}: NOT put back: {told(error)}")
            return False
        if state is FaultState.CONFLICT:
            latest = self.store.read(entry.undo.run).latest[entry.undo.id]
            self.say(f"{_name(entry)}: conflict, left alone: {latest.detail}")
            return False
        self.say(f"{_name(entry)}: put back")
        return True

    def _fleet_of(self, entry: Entry) -> Fleet:
        path = self.fleet or Path(entry.undo.fleet)
        if path not in self._fleets:
            self._fleets[path] = load_fleet(path)
        return self._fleets[path]


def _name(entry: Entry) -> str:
    return f"{entry.undo.id} ({entry.undo.kind} {entry.undo.target})"
