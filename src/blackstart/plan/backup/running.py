"""Rules about Velero itself: its Deployment, versions, and what its objects say of their state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from blackstart.plan.backup import links
from blackstart.plan.backup.cron import TICK
from blackstart.plan.backup.model import VELERO, BackupConfig
from blackstart.plan.backup.server import servers, versions
from blackstart.plan.backup.stores import locations
from blackstart.plan.backup.templates import SCHEDULED, Template, schedules
from blackstart.plan.backup.timing import shown, worst_age
from blackstart.plan.resources import ClusterConfig, Resource
from blackstart.plan.rules import Rules
from blackstart.plan.values import mapping, seconds, text
from blackstart.schema.errors import Finding

RULES: Rules[BackupConfig] = Rules()


def _status(resource: Resource, key: str) -> str:
    return text(mapping(resource.manifest.data.get("status")).get(key))


def _instant(value: str) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return None


@RULES.add(
    "BSB501",
    "error",
    "Velero's Deployment is called `velero`, in every cluster with objects of Velero (if the input has any such).",
    why="A Restore looks it up by this name: without it each one is PartiallyFailed, and nothing is restored.",
    fix="call the Deployment velero; where the server runs elsewhere, add one with replicas: 0",
    link=links.TROUBLE,
)
def _deployment(config: BackupConfig) -> Iterator[Finding]:
    known = config.live or any(servers(cluster) for cluster in config.clusters)
    for cluster in config.clusters if known else ():
        objects = _veleros(cluster)
        named = [one for one in servers(cluster) if one.name == "velero"]
        if objects and not named:
            other = next(iter(servers(cluster)), None)
            there = f"; the server is called {other.name}" if other else ""
            yield (other or objects[0]).finding(
                ("metadata", "name"), f"{cluster.name} has no Deployment velero{there}"
            )


def _veleros(cluster: ClusterConfig) -> list[Resource]:
    return [one for one in cluster.resources if text(one.manifest.data.get("apiVersion")).startswith(f"{VELERO}/")]


@RULES.add(
    "BSB502",
    "warning",
    "Velero and its plug-ins have the same version in every cluster.",
    why="A backup of a newer version is not made for an older one to read, and a plug-in is made for one version.",
    fix="upgrade the older one before a backup has to cross",
    link=links.MIGRATION,
)
def _versions(config: BackupConfig) -> Iterator[Finding]:
    first: dict[str, tuple[str, str, Resource]] = {}
    for cluster in config.clusters:
        for resource, path, component, version in versions(cluster):
            name, other, where = first.setdefault(component, (cluster.name, version, resource))
            if version != other and name != cluster.name:
                yield resource.finding(path, f"{component} is {version}; in {name} it is {other} ({where.where})")


@RULES.add(
    "BSB503",
    "error",
    "A location is Available, and was looked at just now (with its status in the input; times with --fleet).",
    why="A location keeps its phase while its server hangs or Velero is dead: only the time of the last look tells.",
    fix="see the location's status.message and the server's log; is the store reachable from this cluster?",
    link=links.LOCATION,
)
def _available(config: BackupConfig) -> Iterator[Finding]:
    for one in locations(config):
        resource, phase = one.resource, _status(one.resource, "phase")
        if phase and phase != "Available":
            yield resource.finding(("status", "phase"), f"{resource.name} is {phase}")
        if config.live is None:
            continue
        for key, period in (("lastValidationTime", "validationFrequency"), ("lastSyncedTime", "backupSyncPeriod")):
            then = _instant(_status(resource, key))
            # It looks on ticks of its own: up to two periods pass.
            allowed = 2 * (seconds(resource.spec.get(period)) or TICK) + TICK
            if then is None:
                yield resource.finding(("status", key), f"{resource.name} has no {key}")
            elif config.live.now - then > allowed:
                age = shown(config.live.now - then)
                yield resource.finding(("status", key), f"{key} of {resource.name} is {age} ago")


@RULES.add(
    "BSB504",
    "error",
    "The newest backup of a schedule is Completed, and as new as the schedule says (with Backups in the input; "
    "times with --fleet).",
    why="A schedule whose backups fail, or that stands still, looks like one that works until a restore is needed.",
    fix="see `velero backup describe --details`, `velero backup logs` and the server's log",
    link=links.BACKUP,
)
def _newest(config: BackupConfig) -> Iterator[Finding]:
    for one in schedules(config):
        made = [backup for backup in one.cluster.of("Backup") if _made_by(backup) == one.resource.name]
        made.sort(key=lambda backup: _status(backup, "startTimestamp"))
        ended = [backup for backup in made if _status(backup, "completionTimestamp")]
        if ended and (phase := _status(ended[-1], "phase")) != "Completed":
            yield ended[-1].finding(("status", "phase"), f"the newest backup of {one.resource.name} is {phase}")
        if (late := _late(config, one, made)) is not None:
            yield one.resource.finding(("spec", "schedule"), late)


def _late(config: BackupConfig, one: Template, made: list[Resource]) -> str | None:
    """What is wrong with the age of the newest backup that is whole."""
    allowed = worst_age(one)
    if config.live is None or one.paused or allowed is None:
        return None
    whole = [backup for backup in made if _status(backup, "phase") == "Completed"]
    since = _status(whole[-1], "startTimestamp") if whole else text(one.resource.metadata.get("creationTimestamp"))
    then = _instant(since)
    if then is None or config.live.now - then <= allowed:
        return None
    age = shown(config.live.now - then)
    what = f"the newest backup is {age} old" if whole else f"there is no backup after {age}"
    return f"{what}; the schedule promises one every {shown(one.gap or 0)}"


def _made_by(backup: Resource) -> str:
    return text(mapping(backup.metadata.get("labels")).get(SCHEDULED))
