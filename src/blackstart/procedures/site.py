"""A store that a step works on: who is its primary, what its record says, how its clients are told."""

from __future__ import annotations

from dataclasses import dataclass

from blackstart.evidence.promotions import Promotion, clusters_of
from blackstart.evidence.undo import make_folder, write_whole
from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Login, Member, Store
from blackstart.procedures.base import Deadline, StepError, Work
from blackstart.procedures.clients import Knocks, point


@dataclass(frozen=True)
class Site:
    """One store in the hands of one step. Not shared between steps: the record on the disk is.

    knocks: what became of asking the clusters of its clients, where the step did so beforehand.
    """

    work: Work
    name: str
    store: Store
    deadline: Deadline
    knocks: Knocks | None = None

    @property
    def fleet(self) -> Fleet:
        """The fleet."""
        return self.work.fleet

    @property
    def record(self) -> Promotion | None:
        """What is written down of it; None while it is at home."""
        return self.work.promotions.find(self.fleet, self.name)

    @property
    def primary(self) -> str:
        """The region that has the primary, as far as is written down."""
        if (found := self.record) is None:
            return self.store.primary
        return found.region if found.stage == "promoted" else found.was

    @property
    def admin(self) -> Login:
        """Who may change it. Raises StepError."""
        if self.store.admin is None:
            raise StepError(f"store {self.name!r} has no `admin` in fleet.yaml; add the login that may change it")
        return self.store.admin

    @property
    def replication(self) -> Login:
        """What replicas log in with. Raises StepError."""
        if self.store.replication is None:
            raise StepError(f"store {self.name!r} has no `replication` in fleet.yaml; add what replicas log in with")
        return self.store.replication

    def keep(self, name: str, suffix: str, content: bytes) -> str:
        """Put what a rebuild would discard on the disk, for its owner only; where it is, below the run's folder.

        What an earlier rebuild kept is not overwritten. Raises StepError:
        nothing may be discarded then.
        """
        folder = self.work.folder / "salvage"
        try:
            make_folder(self.work.folder)
            folder.mkdir(mode=0o700, exist_ok=True)
            number = 1
            while (path := folder / f"{name}{'' if number == 1 else f'.{number}'}{suffix}").exists():
                if path.read_bytes() == content:
                    break
                number += 1
            write_whole(path, content)
        except OSError as error:
            raise StepError(f"{folder}: cannot be written: {error.strerror}; nothing was discarded") from error
        return f"salvage/{path.name}"

    def member(self, region: str) -> Member:
        """The server of a region."""
        return self.store.members[region]

    def note(self, **changes: object) -> Promotion:
        """Write down how far the step has come. Raises UndoError: nothing may be changed then."""
        found = self.record or Promotion(
            run=self.work.run,
            fleet=self.fleet.fleet,
            fleet_file=str(self.fleet.source or ""),
            clusters=clusters_of(self.fleet, self.name),
            store=self.name,
            home=self.store.primary,
            region=self.store.primary,
            was=self.store.primary,
            stage="promoted",
            at="",
        )
        return self.work.promotions.put(found.model_copy(update={"run": self.work.run, **changes}))

    def at_home(self) -> None:
        """Close the record."""
        if (found := self.record) is not None:
            self.work.promotions.close(found)

    def tell_clients(self, region: str) -> str:
        """Have clients everywhere go to the server of a region; who was told, and who was not."""
        return point(self.fleet, self.store, self.member(region).client_address, self.knocks)


def site_of(work: Work, role: str, region: str, deadline: Deadline) -> tuple[Site, str]:
    """The store and the region that play these roles. Raises StepError."""
    try:
        name, where = work.fleet.resolve(role), work.fleet.resolve(region)
    except KeyError as error:
        raise StepError(str(error.args[0])) from None
    if (store := work.fleet.stores.get(name)) is None:
        raise StepError(f"{role!r} is {name!r}, which is no store of fleet {work.fleet.fleet!r}")
    if where not in store.members:
        raise StepError(f"store {name!r} has no server in {where!r}; it has: {', '.join(store.members)}")
    return Site(work, name, store, deadline), where
