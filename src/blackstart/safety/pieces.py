"""What there is to put back, piece by piece: faults on record, objects with a label, cut links, Leases."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from blackstart.evidence.events import Emit
from blackstart.evidence.records import FaultState
from blackstart.evidence.undo import Entry, Store, make_folder
from blackstart.faults import foreign
from blackstart.faults.base import Conflict, FaultError, fault_of
from blackstart.faults.changes import Change, changes
from blackstart.faults.inject import Context, restore_held
from blackstart.faults.marks import LABEL
from blackstart.fleet import nft
from blackstart.fleet.drops import table_name
from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet
from blackstart.safety import claims
from blackstart.safety.sweep import Claim, Cut, Mark, Role, look, look_at
from blackstart.schema.errors import BlackstartError

_RECORD_ONLY = "nothing to change any more; would only be recorded as put back"


@dataclass(frozen=True)
class Piece:
    """One thing to put back. `put_back` says what it did, or raises; `idle` is said when nothing would change."""

    name: str
    run: str
    put_back: Callable[[], str]
    foresee: Callable[[], list[Change]]
    idle: str = _RECORD_ONLY


@dataclass
class Shop:
    """Restores faults in this process, whatever the thread; `held` ends the locks on the runs."""

    store: Store
    emit: Emit
    held: contextlib.ExitStack
    _runs: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def restore(self, entry: Entry, fleet: Fleet) -> str:
        """Put a fault back. Raises Conflict, FaultError, FleetError, UndoError."""
        self._hold(entry.undo.run)
        state = restore_held(entry, fleet, Context(entry.undo.run, self.store, self.emit), within=0)
        if state is FaultState.CONFLICT:
            latest = self.store.read(entry.undo.run).latest.get(entry.undo.id, entry)
            raise Conflict(latest.detail)
        return "put back"

    def reopen(self, entry: Entry) -> None:
        """Note that a fault that was put back is there again."""
        if not self.store.read(entry.undo.run).latest.get(entry.undo.id, entry).outstanding:
            self.store.record(entry.undo, FaultState.APPLIED, "found again on the object")

    def _hold(self, run: str) -> None:
        """Keep other processes from putting the run back, until the end."""
        with self._lock:
            if run not in self._runs:
                with contextlib.suppress(OSError):  # A full disk; the folder may be there.
                    make_folder(self.store.folder(run))
                self.held.enter_context(self.store.restoring(run))
                self._runs.add(run)


class Findings:
    """All that is to be put back: of one run, or of every run that nobody works on.

    fleet: the file to use for everything, None: the one that each record
    names. usual: swept besides those, if it is there and no run is named.
    """

    def __init__(self, shop: Shop, fleet: Path | None, usual: Path | None, run: str | None, also_alive: bool) -> None:
        self._shop, self._only, self._file = shop, run, fleet
        self._contents = shop.store.read(run)
        self._loaded: dict[Path, Fleet] = {}
        self._swept = [(found, look(found, self._regions())) for found in self._fleets(usual)]
        self._alive = self._who_lives()
        self._spared = set() if run or also_alive else self._alive
        self.problems = [
            f"{path}: damaged, cannot be read; look at the other records of the run in its folder"
            for path in self._contents.damaged
        ]
        self.problems += [
            f"{name_of(entry)}: left alone, its run still goes on; name it with --run, or use --all"
            for entry in self._contents.outstanding
            if entry.undo.run in self._spared
        ]
        recorded = {entry.undo.run for entry in self._contents.outstanding}
        self.problems += [
            f"run {name}: left alone, somebody renews its Lease; name it with --run, or use --all"
            for name in sorted(
                {mark.run for _, sight in self._swept for mark in sight.marks} & self._spared - recorded
            )
        ]

    @property
    def known(self) -> bool:
        """Whether anything at all is known of the run that was named."""
        return bool(self._only in self._shop.store.runs() or self.pieces() or self.remains())

    def pieces(self) -> list[Piece]:
        """Faults, labelled objects, cuts, and clusters that must be asked again; newest first."""
        outstanding = {e.undo.id: e for e in self._contents.outstanding if e.undo.run not in self._spared}
        found = [self._entry(entry) for entry in outstanding.values()]
        for fleet, sight in self._swept:
            found += [self._mark(fleet, mark) for mark in self._unrecorded(sight.marks, outstanding)]
            found += [self._cut(fleet, cut) for cut in sight.cuts if self._is_loose(cut, outstanding)]
            if not self._complete:
                found += [self._away(fleet, name, why) for name, why in sight.away.items()]
        return found

    def remains(self) -> list[Piece]:
        """The Leases of runs that nobody works on, and what may not be owned by a Lease."""
        found = [self._claim(fleet, claim) for fleet, sight in self._swept for claim in sight.claims]
        found += [self._role(fleet, role) for fleet, sight in self._swept for role in sight.roles]
        return [piece for piece in found if piece.run not in self._alive and self._only in (None, piece.run)]

    # -- what is looked at

    @property
    def _complete(self) -> bool:
        """Whether the store knows all there is to know: of a run with records that can be read."""
        return bool(self._only and self._contents.latest and not self._contents.damaged)

    def _regions(self) -> set[str] | None:
        regions = {region for entry in self._contents.latest.values() for region in entry.undo.clusters}
        return regions if self._complete else None

    def _fleets(self, usual: Path | None) -> list[Fleet]:
        if self._file:
            return [self._load(self._file)]
        entries = self._contents.latest.values() if self._only else self._contents.outstanding
        paths = {Path(entry.undo.fleet) for entry in entries}
        if usual and usual.exists() and not (self._only and paths):
            paths.add(usual.absolute())
        found = []
        for path in sorted(paths):
            # Restoring the record that names it says what is wrong with it.
            with contextlib.suppress(BlackstartError):
                found.append(self._load(path))
        return found

    def _load(self, path: Path) -> Fleet:
        if path not in self._loaded:
            self._loaded[path] = load_fleet(path)
        return self._loaded[path]

    def _who_lives(self) -> set[str]:
        """The runs that somebody works on: here by a lock on a file, elsewhere by a Lease that is renewed."""
        here = set(self._shop.store.runs())
        alive = {run for run in here if self._shop.store.is_alive(run)}
        for fleet, sight in self._swept:
            asked = [claim for claim in sight.claims if self._only in (None, claim.run)]
            alive |= claims.renewed(fleet, [claim for claim in asked if claim.run not in here])
        return alive

    def _unrecorded(self, marks: Iterable[Mark], outstanding: dict[str, Entry]) -> Iterator[Mark]:
        """Marks that no outstanding record stands for, each undo record once."""
        seen, marks = set(outstanding), list(marks)
        records = [*(entry.undo for entry in outstanding.values()), *(mark.undo for mark in marks if mark.undo)]
        for mark in marks:
            if mark.run in self._spared or self._only not in (None, mark.run):
                continue
            if mark.undo is None:
                about = (mark.cluster, mark.ref.resource, mark.ref.namespace, mark.ref.name)
                if not any(about in foreign.about(undo.data) for undo in records):
                    yield mark
            elif mark.undo.id not in seen:
                seen.add(mark.undo.id)
                yield mark

    def _is_loose(self, cut: Cut, outstanding: dict[str, Entry]) -> bool:
        """Whether no record and no run that goes on stands for a cut."""
        if cut.table in {table_name(undo_id) for undo_id in outstanding}:
            return False
        if any(cut.table.startswith(table_name(f"{run}/")) for run in self._spared):
            return False
        return not self._only or cut.table.startswith(table_name(f"{self._only}/"))

    # -- what is made of it

    def _entry(self, entry: Entry, fleet: Fleet | None = None) -> Piece:
        def its_fleet() -> Fleet:
            return fleet or self._load(self._file or Path(entry.undo.fleet))

        return Piece(
            name_of(entry),
            entry.undo.run,
            lambda: self._shop.restore(entry, its_fleet()),
            lambda: changes(fault_of(entry.undo.kind), its_fleet(), entry.undo),
        )

    def _mark(self, fleet: Fleet, mark: Mark) -> Piece:
        if mark.undo is None:
            return self._nameless(mark)
        entry = Entry(undo=mark.undo, n=0, state=FaultState.APPLIED)
        piece = self._entry(entry, fleet)

        def put_back() -> str:
            if mark.run not in self._alive:
                for claim in self._claims_of(fleet, mark.run):
                    claims.take(fleet, claim)
            self._shop.reopen(entry)
            return f"{piece.put_back()}, from the label on {mark.cluster}: {mark.ref}"

        return Piece(piece.name, piece.run, put_back, piece.foresee)

    def _nameless(self, mark: Mark) -> Piece:
        def conflict() -> str:
            raise Conflict(
                f"it has the label of run {mark.run}, but no undo record that can be read; set it as you want it, "
                f"and take the label {LABEL} off"
            )

        return Piece(f"{mark.cluster}: {mark.ref}", mark.run, conflict, lambda: [Change(conflict(), "", None, None)])

    def _cut(self, fleet: Fleet, cut: Cut) -> Piece:
        def remove() -> str:
            nft.remove(fleet.places[cut.place], cut.table)
            return "removed"

        thing = f"place {cut.place}"
        return Piece(
            f"{thing}: nft table {cut.table}",
            "",
            remove,
            lambda: [Change(thing, f"nft table {cut.table}", "drops" if cut.live else "expired", None)],
        )

    def _away(self, fleet: Fleet, name: str, why: str) -> Piece:
        def ask_again() -> str:
            sight = look_at(fleet, name)
            outstanding = {entry.undo.id: entry for entry in self._shop.store.read(self._only).outstanding}
            pieces = [self._mark(fleet, mark) for mark in self._unrecorded(sight.marks, outstanding)]
            return "; ".join([f"answers, {len(pieces)} more", *(f"{p.name}: {p.put_back()}" for p in pieces)])

        def unknown() -> list[Change]:
            raise FaultError(f"not known: {why}")

        return Piece(f"{fleet.fleet}: {name}", "", ask_again, unknown)

    def _claim(self, fleet: Fleet, claim: Claim) -> Piece:
        def drop() -> str:
            claims.drop(fleet, claim)
            return "removed"

        name = f"{claim.cluster}: {claim.lease.ref} of {claim.run}"
        return Piece(name, claim.run, drop, lambda: [Change(name, "holder", claim.lease.holder, None)])

    def _role(self, fleet: Fleet, role: Role) -> Piece:
        def withdraw() -> str:
            claims.withdraw(fleet, role)
            return "removed"

        name = f"{role.cluster}: {role.ref} of {role.run}"
        return Piece(name, role.run, withdraw, lambda: [Change(name, f"label {LABEL}", role.run, None)])

    def _claims_of(self, fleet: Fleet, run: str) -> list[Claim]:
        return [claim for swept, sight in self._swept if swept is fleet for claim in sight.claims if claim.run == run]


def name_of(entry: Entry) -> str:
    """A fault, as people are told of it."""
    return f"{entry.undo.id} ({entry.undo.kind} {entry.undo.target})"
