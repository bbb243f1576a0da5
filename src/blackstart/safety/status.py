"""What goes on in a fleet, and what earlier runs left there: runs, locks, Leases, guardians, faults, cuts, stores."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from blackstart.evidence.promotions import Promotions
from blackstart.evidence.undo import Store
from blackstart.fleet.model import Fleet
from blackstart.safety import claims
from blackstart.safety.sweep import Sight, look


@dataclass(frozen=True)
class Run:
    """`alive`: somebody works on it; `outstanding`: faults that may still have to be put back."""

    run: str
    alive: bool
    outstanding: int


@dataclass(frozen=True)
class Lease:
    """`held`: by a run that is alive. `seconds`: after which it expires unless it is renewed."""

    cluster: str
    name: str
    run: str
    holder: str
    seconds: float
    renewed: str
    held: bool


@dataclass(frozen=True)
class Outstanding:
    """`where` it was found: `undo store`, or the object that carries it. `owned`: by a run that is alive."""

    run: str
    fault: str
    kind: str
    target: str
    state: str
    where: str
    owned: bool


@dataclass(frozen=True)
class Guardian:
    """A Job."""

    cluster: str
    name: str
    run: str
    active: bool


@dataclass(frozen=True)
class Role:
    """The ClusterRole of a guardian that looks after nodes. `owned`: by a run that is alive."""

    cluster: str
    name: str
    run: str
    owned: bool


@dataclass(frozen=True)
class Cut:
    """An nft table; `live` while it drops."""

    place: str
    table: str
    live: bool


@dataclass(frozen=True)
class Away:
    """A store whose primary is not at home, or is being moved. `owned`: by a run that is alive."""

    store: str
    primary: str
    home: str
    stage: str
    run: str
    owned: bool
    next: str


@dataclass(frozen=True)
class Status:
    """All of it. `away`: what could not be asked, and why; `damaged`: records that cannot be read."""

    fleet: str
    runs: list[Run]
    locks: list[Lease]
    leases: list[Lease]
    outstanding: list[Outstanding]
    guardians: list[Guardian]
    roles: list[Role]
    cuts: list[Cut]
    stores: list[Away]
    away: dict[str, str]
    damaged: list[str]

    @property
    def ownerless(self) -> bool:
        """Whether something is left, or may be for all that is known, that nobody who is alive works on."""
        left: list[Outstanding | Role | Away] = [*self.outstanding, *self.roles, *self.stores]
        if self.damaged or not all(it.owned for it in left):
            return True
        # Whose a cut is, and what is where nobody answers, cannot be told while a run goes on.
        return not any(run.alive for run in self.runs) and bool(self.cuts or self.away)

    def plain(self) -> dict[str, object]:
        """As JSON data."""
        return {**asdict(self), "ownerless": self.ownerless}


def status(store: Store, fleet: Fleet) -> Status:
    """Look at the store and the fleet once, and at Leases of runs that are not of this machine until they tell."""
    sight, contents = look(fleet), store.read()
    here = store.runs()
    promotions, torn = Promotions(store.state).read()
    alive = {run for run in here if store.is_alive(run)}
    alive |= claims.renewed(fleet, [claim for claim in sight.claims if claim.run not in here])
    recorded = [
        Outstanding(
            e.undo.run, e.undo.fault, e.undo.kind, e.undo.target, e.state.value, "undo store", e.undo.run in alive
        )
        for e in contents.outstanding
    ]
    found = recorded + _marked(sight, {(fault.run, fault.fault) for fault in recorded}, alive)
    counts = {run: sum(fault.run == run for fault in found) for run in {f.run for f in found} | alive}
    leases = [
        (
            claim.lock,
            Lease(
                claim.cluster,
                claim.lease.ref.name,
                claim.run,
                claim.lease.holder,
                claim.lease.seconds,
                claim.lease.renewed,
                claim.run in alive,
            ),
        )
        for claim in sight.claims
    ]
    return Status(
        fleet=fleet.fleet,
        runs=[Run(run, run in alive, count) for run, count in sorted(counts.items())],
        locks=[lease for lock, lease in leases if lock],
        leases=[lease for lock, lease in leases if not lock],
        outstanding=found,
        guardians=[Guardian(guard.cluster, guard.ref.name, guard.run, guard.active) for guard in sight.guards],
        roles=[Role(role.cluster, role.ref.name, role.run, role.run in alive) for role in sight.roles],
        cuts=[Cut(cut.place, cut.table, cut.live) for cut in sight.cuts],
        stores=[
            Away(p.store, p.region, p.home, p.stage, p.run, p.run in alive, p.advice)
            for p in promotions
            if p.of(fleet)
        ],
        away=sight.away,
        damaged=[str(path) for path in (*contents.damaged, *torn)],
    )


def _marked(sight: Sight, recorded: set[tuple[str, str]], alive: set[str]) -> list[Outstanding]:
    """What objects carry that is not outstanding in the store of this machine."""
    found = {}
    for mark in sight.marks:
        fault = mark.undo.fault if mark.undo else "?"
        if (mark.run, fault) not in recorded and (mark.undo or mark.run not in {run for run, _ in recorded}):
            kind, target = (mark.undo.kind, mark.undo.target) if mark.undo else ("?", str(mark.ref))
            where = f"{mark.cluster}: {mark.ref}"
            found[where] = Outstanding(mark.run, fault, kind, target, "labelled", where, mark.run in alive)
    return list(found.values())
