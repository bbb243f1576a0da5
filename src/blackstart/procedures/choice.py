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


def choose(wanted: Restore, backups: Iterable[Backup], namespaces: Iterable[str], run: str) -> Backup:
    """The backup that the step asks for. Raises StepError."""
    names, known = list(namespaces), sorted(backups, key=_age)
    match wanted.backup:
        case "fresh":
            found = [backup for backup in known if backup.run == run]
            none = "this run took no backup; let the experiment do so before its fault: backups.back_up"
        case "newest":
            found = [backup for backup in known if backup.phase == "Completed"]
            none = "there is no completed backup"
        case "newest-scheduled":
            found = [backup for backup in known if backup.phase == "Completed" and backup.schedule]
            none = "there is no completed backup of a schedule"
        case name:
            found = [backup for backup in known if backup.name == name]
            none = f"there is no backup {name!r}"
    if not found:
        raise StepError(f"{none}; known: {', '.join(backup.name for backup in known) or 'none'}")
    holding = [backup for backup in found if backup.holds(names)]
    if not holding:
        raise StepError(f"no such backup holds {', '.join(names)}; there is {', '.join(b.name for b in found)}")
    if (newest := holding[-1]).phase != "Completed":
        raise StepError(f"backup {newest.name!r} is {newest.phase}, not Completed: nothing is restored from it")
    return newest


def _age(backup: Backup) -> tuple[float, str]:
    return (backup.started.timestamp() if backup.started else 0.0, backup.name)
