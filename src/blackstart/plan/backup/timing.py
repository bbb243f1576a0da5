"""Rules about when backups are made and how long they are kept."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.backup import links
from blackstart.plan.backup.cron import TICK, longest_gap
from blackstart.plan.backup.model import BackupConfig
from blackstart.plan.backup.templates import Template, schedules
from blackstart.plan.rules import Rules
from blackstart.plan.values import text, texts
from blackstart.schema.errors import Finding

RULES: Rules[BackupConfig] = Rules()

_SYSTEM = ("default", "velero", "istio-system")
_APPLICATIONS = ("Deployment", "StatefulSet", "DaemonSet", "Service", "PersistentVolumeClaim")


def worst_age(template: Template) -> float | None:
    """Seconds that the newest backup in the other region can be old: the gap, and a tick at either side."""
    return None if template.gap is None else template.gap + 2 * TICK


def shown(seconds: float) -> str:
    """`1d2h`, `90s` as `1m30s`."""
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(round(seconds), size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


@RULES.add(
    "BSB101",
    "error",
    "Backups are made often enough for the RPO (with --rpo).",
    why="The age of a backup counts from its start. The newest one elsewhere can be as old as the longest gap of the "
    "schedule, a minute until Velero sees that it is due, a minute until the other region sees it, and the time that "
    "it took.",
    fix="let the schedule fire more often; what a backup cannot promise, replication of the data has to",
    link=links.HOW,
)
def _rpo(config: BackupConfig) -> Iterator[Finding]:
    rpo = config.said.rpo
    if rpo is None:
        return
    fast = [one for one in schedules(config) if not one.paused and (worst_age(one) or rpo + 1) <= rpo]
    for one in schedules(config):
        age = worst_age(one)
        if age is None or age <= rpo or _covered(one, fast):
            continue
        message = f"the newest backup can be {shown(age)} old and more; the RPO is {shown(rpo)}"
        yield one.resource.finding(("spec", "schedule"), message)


def _covered(slow: Template, fast: list[Template]) -> bool:
    """Whether others take all namespaces of a schedule often enough."""
    named = [name for _, name in texts(slow.spec.get("includedNamespaces"))]
    mine = [one for one in fast if one.cluster.name == slow.cluster.name]
    return bool(named) and all(any(one.within(name) for one in mine) for name in named)


@RULES.add(
    "BSB102",
    "error",
    "Velero can read the schedule.",
    why="It refuses a schedule that it cannot read (phase FailedValidation), and makes no backup, without an alert.",
    fix="write minute, hour, day, month and weekday (0 to 6), or @daily, @every 6h",
    link=links.SCHEDULE,
)
def _cron(config: BackupConfig) -> Iterator[Finding]:
    for one in schedules(config):
        try:
            longest_gap(text(one.resource.spec.get("schedule")))
        except ValueError as error:
            yield one.resource.finding(("spec", "schedule"), str(error))


@RULES.add(
    "BSB103",
    "error",
    "A backup is kept until the next one is there.",
    why="With a ttl that is shorter than the longest gap there is no backup at all for a part of the time.",
    fix="set a ttl of several times the gap",
    link=links.HOW,
)
def _ttl(config: BackupConfig) -> Iterator[Finding]:
    for one in schedules(config):
        if one.gap is not None and one.ttl < one.gap:
            yield one.finding(
                ("ttl",), f"ttl {shown(one.ttl)} is shorter than the longest gap of the schedule, {shown(one.gap)}"
            )


@RULES.add(
    "BSB104",
    "warning",
    "At least two backups are kept.",
    why="With one only, a newest backup that failed, or holds what a bug destroyed, leaves nothing to restore.",
    fix="set a ttl of several times the gap",
    link=links.HOW,
)
def _two(config: BackupConfig) -> Iterator[Finding]:
    for one in schedules(config):
        if one.gap is not None and one.gap <= one.ttl < 2 * one.gap:
            yield one.finding(
                ("ttl",), f"ttl {shown(one.ttl)} keeps one backup at times: the gap is up to {shown(one.gap)}"
            )


@RULES.add(
    "BSB105",
    "error",
    "No schedule is paused.",
    why="A paused schedule makes no backups, and those that there are expire.",
    fix="set paused: false, or delete the schedule",
    link=links.SCHEDULE,
)
def _paused(config: BackupConfig) -> Iterator[Finding]:
    for one in schedules(config):
        if one.paused:
            yield one.resource.finding(("spec", "paused"), f"{one.resource.name} is paused")


@RULES.add(
    "BSB106",
    "warning",
    "Every namespace of a service is in a schedule.",
    why="What no schedule takes cannot be restored.",
    fix="add the namespace to includedNamespaces of a schedule",
    link=links.FILTER,
)
def _forgotten(config: BackupConfig) -> Iterator[Finding]:
    taking = [one for one in schedules(config) if not one.paused]
    if not taking and config.live is None:
        # The files may be about something else; a live fleet has what it has.
        return
    services = config.live.services if config.live else {}
    seen: set[str] = set()
    for resource in config.of(*_APPLICATIONS):
        name = resource.namespace
        left = name and name not in seen and not any(one.within(name) for one in taking)
        if left and (name in services if config.live else not _is_system(name)):
            what = f"{services[name]} of the fleet" if config.live else f"{resource.kind} {resource.name}"
            yield resource.finding(("metadata", "namespace"), f"no schedule takes the namespace {name} ({what})")
        seen.add(name)


def _is_system(namespace: str) -> bool:
    return namespace in _SYSTEM or namespace.startswith("kube-")
