"""Restores a backup into a region under mapped namespaces, times it, and proves object by object what came back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blackstart.evidence.records import FaultState, Interval
from blackstart.evidence.restores import Restored
from blackstart.faults.backing_up import fresh_name
from blackstart.faults.clusters import open_kube
from blackstart.faults.inject import may_pass
from blackstart.fleet.backups import Velero
from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.lease import RUN_LABEL
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object
from blackstart.fleet.velero import BACKUPS, Backup, backup_of
from blackstart.procedures import dumped, proof, reborn, restoring
from blackstart.procedures.archive import Kept
from blackstart.procedures.base import By, Deadline, Kind, Late, NotExecuted, StepError, Work
from blackstart.procedures.choice import Held, held, namespaces_of, newest, usable
from blackstart.procedures.restoring import Place
from blackstart.procedures.vault import Vault
from blackstart.schema.errors import BlackstartError
from blackstart.schema.procedure import Restore, Step


@dataclass
class _Book:
    """What is known of the restore so far."""

    facts: dict[str, Any] = field(default_factory=dict)

    def note(self, **facts: Any) -> None:
        self.facts |= facts

    def now(self, moment: str) -> None:
        self.facts[moment] = time.monotonic()


class _Until(Deadline):
    """A deadline that comes early when the run ends early."""

    def __init__(self, deadline: Deadline, work: Work) -> None:
        super().__init__(deadline.left)
        self.seconds, self._stopped = deadline.seconds, work.stopped

    def check(self, what: str) -> float:
        """Raises NotExecuted, too."""
        if self._stopped():
            raise NotExecuted(f"the run ended early; {what}")
        return super().check(what)

    def until[T](self, what: Callable[[], str], look: Callable[[], T | None]) -> T:
        """An API server that is busy or away is asked again."""

        def patient() -> T | None:
            try:
                return look()
            except KubeError as error:
                if not may_pass(error):
                    raise
                return None

        return super().until(what, patient)


class RunRestore:
    """Waiting ends early when the run does; what was made is taken away by the undo, like a fault."""

    kind = "restore"
    by: By = "machine"

    def run(self, work: Work, step: Step, deadline: Deadline) -> str:
        """See the module. Raises BlackstartError when it is not proven that everything is back and works."""
        wanted = step.restore
        assert isinstance(wanted, Restore)  # noqa: S101 - the kind of a step says so
        source, target = (_region(work.fleet, role) for role in (wanted.source, wanted.target))
        spaces = namespaces_of(work.fleet, wanted, source)
        book = _Book({"step": step.name, "source": source, "target": target, "namespaces": spaces})
        book.note(services=[each.service for each in held(work.fleet, source, spaces)])
        book.now("begun")
        if not spaces:
            work.tell(Restored.model_validate(book.facts))
            return f"no service of tier {wanted.tier} has a workload in {source}: nothing to restore"
        try:
            with open_kube(work.fleet, target) as kube:
                place = _place(work.fleet, target, kube)
                until = _Until(deadline, work)
                return _Run(work, wanted, place, source, spaces, until, book).go()
        except BlackstartError as error:
            book.note(problem=str(error))
            raise
        finally:
            work.tell(Restored.model_validate(book.facts))

    def needs(self, fleet: Fleet, step: Step) -> list[str]:
        """Rights, and the bucket."""
        wanted = step.restore
        assert isinstance(wanted, Restore)  # noqa: S101 - as above
        source, target = (fleet.roles.get(role, role) for role in (wanted.source, wanted.target))
        spaces = ", ".join(namespaces_of(fleet, wanted, source).values()) or "nothing"
        found = [f"in {target}, to make and delete the namespaces {spaces}", "to read the bucket of the backups"]
        if (dump := wanted.dump) is None:
            return found
        reader = [f"SELECT on {', '.join(dump.tables)} for the reader of {dump.store}"] if dump.store else []
        return [*found, "to list and read the bucket of the dumps", *reader]


@dataclass(frozen=True)
class _Run:
    """One restore."""

    work: Work
    wanted: Restore
    place: Place
    source: str
    spaces: Mapping[str, str]
    deadline: Deadline
    book: _Book

    def go(self) -> str:
        """Raises BlackstartError."""
        vault = _vault(self.work)
        backup = self._backup(vault)
        started = backup.started.isoformat().replace("+00:00", "Z") if backup.started else None
        self.book.note(backup=backup.name, schedule=backup.schedule, backup_started=started)
        brought = restoring.known_there(self.place, backup, self.wanted, self.deadline)
        self.book.now("present")
        self.book.note(brought=brought)
        kept = vault.contents(backup.name)
        scope = self._scope()
        before = time.monotonic()
        undo = restoring.prepare(self.work, self.place, dict(self.spaces), kept)
        ports = restoring.free_ports(kept, dict(self.spaces))
        ref = restoring.begin(self.work, self.place, undo, backup, self.wanted, dict(self.spaces), ports)
        self.book.now("created")
        self.work.undo.record(undo, FaultState.APPLIED)
        restoring.tell(self.work, undo, FaultState.APPLIED)
        restoring.tell(
            self.work,
            undo,
            FaultState.CONFIRMED,
            Interval(earliest=before, latest=time.monotonic()),
            "made by a step",
        )
        self.book.note(restore=ref.name)
        status = restoring.ended(self.place, ref, self.deadline)
        self.book.now("ended")
        phase = str(status["phase"])
        self.book.note(phase=phase, errors=int(status.get("errors") or 0), warnings=int(status.get("warnings") or 0))
        trouble = _phase(status) or self._works(kept, scope)
        return self._prove(vault, ref.name, backup, kept, scope, trouble)

    def _backup(self, vault: Vault) -> Backup:
        """The one that is asked for, as the bucket describes it: what a region knows may be there no more."""
        match self.wanted.backup:
            case "fresh":
                name = fresh_name(self.work.run, *self.spaces) if len(self.spaces) == 1 else ""
            case "newest" | "newest-scheduled":
                there = self.place.kube.select(BACKUPS, self.place.namespace)
                name = newest(self.wanted, [backup_of(raw, RUN_LABEL) for raw in there], self.spaces)
            case named:
                name = named
        return usable(vault.backup(name), self.spaces)

    def _scope(self) -> proof.Scope:
        workloads: dict[str, list[tuple[str, str]]] = {}
        for each in held(self.work.fleet, self.source, self.spaces):
            workloads.setdefault(each.namespace, []).append((proof.WORKLOADS[0], each.deployment))
        return proof.Scope(self.spaces, self.wanted.include, self.wanted.exclude, workloads)

    def _works(self, kept: list[Kept], scope: proof.Scope) -> str:
        """Wait until it works; why it does not."""
        kube, fleet = self.place.kube, self.work.fleet
        left = ["everything"]

        def complete() -> bool | None:
            left[:] = reborn.unready(kube, kept, scope)
            return None if left else True

        try:
            self.deadline.until(lambda: f"not ready: {', '.join(left)}", complete)
            self.book.now("ready")
            asked = [
                Held(each.service, self.spaces[each.namespace], each.deployment)
                for each in held(fleet, self.source, self.spaces)
            ]
            said = [
                self.deadline.until(
                    lambda each=each: f"service {each.service} does not answer in {each.namespace}",  # type: ignore[misc]  # a loop variable
                    lambda each=each: reborn.answer(kube, fleet, self.place.region, each),  # type: ignore[misc]  # as above
                )
                for each in asked
            ]
        except (Late, KubeError) as error:
            return str(error)
        if said:
            self.book.now("serving")
        self.book.note(answered=said)
        return ""

    def _prove(
        self, vault: Vault, restore: str, backup: Backup, kept: list[Kept], scope: proof.Scope, trouble: str
    ) -> str:
        found = proof.prove(kept, self._found(kept, scope), scope)
        objections = [*found.objections, *([trouble] if trouble else [])]
        self.book.note(tallies=found.tallies, objects=found.objects, left_out=found.left_out, objections=objections)
        try:
            objections += proof.objections(*vault.told(restore), scope)
        except BlackstartError as error:
            objections.append(str(error))
        wrong, unknown = self._images(kept, scope)
        objections += wrong
        if self.wanted.dump:
            told = dumped.counted(self.work, self.wanted.dump, self.source, backup, self.deadline.left)
            self.book.note(dump=told.key, rows=told.rows)
            objections += told.objections
            unknown += told.unknown
        self.book.note(objections=objections, unknown=unknown)
        proven = sum(tally.proven for tally in found.tallies.values())
        if not found.whole or objections:
            first = [*objections, *(f"{o.kind} {o.name} {o.outcome}: {o.detail}" for o in found.objects)]
            raise StepError(f"not proven: {'; '.join(first[:3])}" + (f"; {len(first) - 3} more" if first[3:] else ""))
        said = f"backup {backup.name}: {proven} objects proven in {', '.join(self.spaces.values())}"
        rows = [f"{rows.found} rows of {table}" for table, rows in self.book.facts.get("rows", {}).items()]
        return f"{said}; in its dump {', '.join(rows)}" if rows else said

    def _found(self, kept: list[Kept], scope: proof.Scope) -> dict[tuple[str, str], dict[str, Object]]:
        """All that is there now of the kinds that the backup has, one question for each."""
        kinds = {each.kind: each.ref("").resource for each in proof.expected(kept, scope)[0]}
        return {
            (kind, name): {o["metadata"]["name"]: o for o in self.place.kube.select(resource, name)}
            for kind, resource in kinds.items()
            for name in scope.namespaces.values()
        }

    def _images(self, kept: list[Kept], scope: proof.Scope) -> tuple[list[str], list[str]]:
        before, wrong, unknown = proof.digests(kept), list[str](), list[str]()
        for old, new in scope.namespaces.items():
            known = before.get(old) or self.work.images.get((self.source, old), {})
            other, untold = proof.other_images(known, reborn.pods(self.place.kube, new))
            wrong += other
            unknown += [f"{image}: which digest ran of it is not known: the backup has no pods" for image in untold]
        return wrong, unknown


def _vault(work: Work) -> Vault:
    if work.fleet.backups is None:
        raise StepError(f"fleet {work.fleet.fleet!r} has no `backups`; say where the bucket of its backups is")
    return Vault(work.fleet, work.buckets)


def _phase(status: Object) -> str:
    if (phase := status["phase"]) == "Completed":
        return ""
    why = [
        *(status.get("validationErrors") or []),
        *([status["failureReason"]] if status.get("failureReason") else []),
    ]
    return f"Velero says {phase}" + (f": {'; '.join(map(str, why))}" if why else "")


def _region(fleet: Fleet, role: str) -> str:
    name = fleet.roles.get(role, role)
    if name not in fleet.regions:
        raise StepError(f"{role!r} is no region of fleet {fleet.fleet!r}")
    return name


def _place(fleet: Fleet, region: str, kube: Kube) -> Place:
    velero: Velero | None = fleet.regions[region].velero
    if velero is None:
        raise StepError(f"region {region!r} has no `velero` in fleet.yaml; say where its Velero is")
    return Place(region, kube, velero.namespace, velero.location)


STEP: Kind = RunRestore()
