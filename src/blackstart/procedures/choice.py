"""Which backup a step restores, and which namespaces of it under which names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from blackstart.faults.sandbox import SUFFIX as SANDBOX
from blackstart.fleet.model import Fleet
from blackstart.fleet.velero import Backup
from blackstart.procedures.base import StepError
from blackstart.schema.restore import Restore

SUFFIX = "-dr"


def namespaces_of(fleet: Fleet, wanted: Restore, source: str) -> dict[str, str]:
    """Namespace of the backup -> what it is called then; those of all services when the step names none."""
    if wanted.namespaces:
        return dict(wanted.namespaces)
    tiers: dict[str, int] = {}
    for service in fleet.services.values():
        if source in service.workloads:
            name = service.workloads[source].namespace
            tiers[name] = min(service.tier, tiers.get(name, service.tier))
    chosen = sorted((tier, name) for name, tier in tiers.items() if wanted.tier in (None, tier))
    return {name: f"{name}{SUFFIX}" for _, name in chosen}


@dataclass(frozen=True)
class Held:
    """A service of the fleet whose workload is in a namespace of the backup, or in the sandbox of its namespace."""

    service: str
    namespace: str
    deployment: str


def held(fleet: Fleet, source: str, namespaces: Iterable[str]) -> list[Held]:
    """The services that these namespaces of a region hold."""
    return [
        Held(name, namespace, workload.deployment)
        for name, service in fleet.services.items()
        if (workload := service.workloads.get(source))
        for namespace in namespaces
        if namespace in (workload.namespace, f"{workload.namespace}{SANDBOX}")
    ]


def newest(wanted: Restore, known: Iterable[Backup], namespaces: Iterable[str]) -> str:
    """The name of the newest completed backup of these namespaces that a region knows. Raises StepError."""
    names, backups = list(namespaces), sorted(known, key=_age)
    scheduled = wanted.backup == "newest-scheduled"
    found = [b for b in backups if b.phase == "Completed" and b.holds(names) and (b.schedule or not scheduled)]
    if not found:
        what = "backup of a schedule" if scheduled else "backup"
        said = ", ".join(f"{backup.name} ({backup.phase})" for backup in backups) or "none"
        raise StepError(f"{wanted.target} knows no completed {what} that holds {', '.join(names)}; it knows: {said}")
    return found[-1].name


def usable(backup: Backup, namespaces: Iterable[str]) -> Backup:
    """The backup, if it is whole and holds the namespaces. Raises StepError."""
    names = list(namespaces)
    if backup.phase != "Completed":
        raise StepError(f"backup {backup.name!r} is {backup.phase}, not Completed: nothing is restored from it")
    if not backup.holds(names):
        raise StepError(f"backup {backup.name!r} does not hold {', '.join(names)}")
    return backup


def _age(backup: Backup) -> tuple[float, str]:
    return (backup.started.timestamp() if backup.started else 0.0, backup.name)
