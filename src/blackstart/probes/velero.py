"""`velero`: a region's backups and its way to the bucket, asked in its own cluster.

Velero's objects say what was, not what is: a location stays Available while
its bucket hangs, a Backup stays Completed while its files are gone, a counter
that is zero is left out. So every reading stands on a location that was
validated a short while ago, and a backup counts only while its files are in
the bucket (where fleet.yaml says how to look).
"""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Literal, Self

from pydantic import Field, model_validator

from blackstart.evidence.records import Reason
from blackstart.fleet import cron, s3
from blackstart.probes import backups
from blackstart.probes.backups import Backup, Location
from blackstart.probes.base import Look, NoData, ProbeSpec, Scope, Value
from blackstart.probes.threads import in_thread
from blackstart.probes.velerosite import Site
from blackstart.schema.base import Seconds


class Spec(ProbeSpec):
    """Reads `measure` of the backups of a `schedule`, or of a `namespace`, or of all; key: the region asked.

    Of the newest backup that could be restored there: `age` (seconds since
    its start), `late` (times that its schedule was due since, each at least
    `grace` ago), `volumes` and `volumes_skipped` (with and without their
    data). Of the newest that ended: `completed` (1: Completed, without
    errors), `items`, `errors`, `warnings`. `running`: seconds that the oldest
    one has not ended, 0 for none. `unsynced`: usable backups of region `of`
    that are not here. Of the way to the bucket: `available` (0 or 1),
    `validated` (seconds since Velero looked, at most `grace` for all others).
    """

    kind: Literal["velero"] = "velero"
    measure: Literal[
        "age",
        "late",
        "volumes",
        "volumes_skipped",
        "completed",
        "items",
        "errors",
        "warnings",
        "running",
        "unsynced",
        "available",
        "validated",
    ] = "age"
    schedule: str | None = None
    namespace: str | None = None
    cron: str | None = None
    regions: list[str] = []
    of: str | None = None
    least: int = Field(default=1, ge=0)
    grace: Seconds = Field(default=180.0, gt=0)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.schedule is not None and self.namespace is not None:
            raise ValueError("needs either `schedule` or `namespace`, or neither")
        if self.measure == "unsynced" and self.of is None:
            raise ValueError("`measure: unsynced` needs `of`: the role of the region that makes the backups")
        if self.measure == "late" and self.cron is None and self.schedule is None:
            raise ValueError("`measure: late` needs `schedule`, or `cron`")
        if self.cron is not None:
            cron.due(self.cron, datetime.now(UTC), datetime.now(UTC))
        return self


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look for each region with Velero, or for each that is named."""
    of = scope.regions([spec.of])[0] if spec.of else None
    regions = (
        scope.regions(spec.regions) if spec.regions else [r for r, it in scope.fleet.regions.items() if it.velero]
    )
    if not regions:
        raise NoData(Reason.MALFORMED, f"no region of fleet {scope.fleet.fleet!r} has `velero`")
    return {region: in_thread(partial(_look, spec, scope, region, of)) for region in regions}


def _look(spec: Spec, scope: Scope, region: str, of: str | None) -> Value:
    # A little before the deadline, so that what is said is what went wrong, not that it took too long.
    site = Site(scope, region, time.monotonic() + spec.deadline * 0.9, datetime.now(UTC))
    found = backups.location(site.get("backupstoragelocations", site.velero.location))
    if spec.measure == "available" and found.phase == "Unavailable":
        return Value(0.0, age=0.0, detail=found.message)
    validated = _validated(site, found)
    if spec.measure == "validated":
        return Value(validated, age=0.0, detail=found.phase)
    if validated > spec.grace:
        raise NoData(
            Reason.STALE,
            f"Velero says {found.phase}, but has not looked at its bucket for {validated:.0f} s: it, or the bucket, "
            "hangs or is gone",
        )
    if spec.measure == "available":
        return Value(float(found.phase == "Available"), age=validated, detail=found.message)
    if spec.measure in _OF_USABLE and found.phase != "Available":
        said = f": {found.message}" if found.message else ""
        raise NoData(Reason.STALE, f"nothing can be restored from a location that is {found.phase or 'new'}{said}")
    return _MEASURES[spec.measure](spec, site, of)


def _validated(site: Site, found: Location) -> float:
    if found.validated is None:
        raise NoData(Reason.EMPTY, "Velero has never looked at its bucket; does it run, and validate its locations?")
    return site.age(found.validated, "the last validation")


def _usable(spec: Spec, site: Site) -> tuple[Backup, str]:
    """The newest backup that could be restored, and what is wrong with the newer ones. Raises NoData."""
    wrong: list[str] = []
    for backup in site.backups(spec.schedule, spec.namespace):
        cause = backup.unfit(site.now, spec.least) or _files(site, backup)
        if not cause:
            return backup, "; ".join([backup.name, *(f"not {text}" for text in wrong[:3])])
        wrong.append(f"{backup.name} ({cause})")
    said = f": {'; '.join(wrong[:5])}" if wrong else ""
    raise NoData(Reason.EMPTY, f"no backup{_whose(spec)} could be restored{said}")


def _whose(spec: Spec) -> str:
    if spec.schedule:
        return f" of schedule {spec.schedule!r}"
    return f" of namespace {spec.namespace!r}" if spec.namespace else ""


def _files(site: Site, backup: Backup) -> str:
    """What is wrong with a backup's files; nothing where fleet.yaml does not say how to look. Raises NoData."""
    if site.scope.fleet.backups is None:
        return ""
    length = site.ask(lambda: s3.size(site.scope.fleet, f"backups/{backup.name}/{backup.name}.tar.gz", site.left))
    return "" if length else "its files are not in the bucket"


def _age(spec: Spec, site: Site, of: str | None) -> Value:
    backup, said = _usable(spec, site)
    return Value(site.age(backup.at, f"the start of {backup.name}"), age=0.0, detail=said)


def _late(spec: Spec, site: Site, of: str | None) -> Value:
    backup, said = _usable(spec, site)
    schedule, paused = (spec.cron, "") if spec.cron else _schedule(spec, site.at(of or site.region))
    site.age(backup.at, f"the start of {backup.name}")
    until = datetime.fromtimestamp(site.now.timestamp() - spec.grace, UTC)
    try:
        missed = cron.due(schedule or "", backup.at, until)
    except ValueError as error:
        raise NoData(Reason.MALFORMED, str(error)) from None
    return Value(float(missed), age=0.0, detail=f"{said}; {schedule}{paused}")


def _schedule(spec: Spec, site: Site) -> tuple[str, str]:
    """A Schedule's times, and whether it stands still. Raises NoData."""
    try:
        found = site.get("schedules", spec.schedule or "")["spec"]
        return str(found["schedule"]), ", paused" if found.get("paused") else ""
    except NoData as error:
        if error.reason is not Reason.EMPTY:
            raise
        raise NoData(
            Reason.EMPTY, f"{site.region}: {error.detail}; name its region in `of`, or write `cron`"
        ) from None
    except (KeyError, TypeError, AttributeError) as error:
        raise NoData(Reason.MALFORMED, f"not a Schedule of Velero: {error!r}") from None


def _volumes(spec: Spec, site: Site, of: str | None) -> Value:
    backup, said = _usable(spec, site)
    raw = site.ask(
        lambda: s3.read(site.scope.fleet, f"backups/{backup.name}/{backup.name}-volumeinfo.json.gz", site.left)
    )
    if raw is None:
        raise NoData(Reason.EMPTY, f"{backup.name} has no list of volumes in the bucket")
    try:
        volumes = json.loads(gzip.decompress(raw)) or []
        skipped = [v for v in volumes if v.get("skipped") or not v.get("backupMethod") or v.get("result") == "failed"]
        why = [
            f"without {v.get('pvcNamespace')}/{v.get('pvcName')}: {v.get('skippedReason') or v.get('result')}"
            for v in skipped[:3]
        ]
    except (OSError, EOFError, zlib.error, ValueError, TypeError, AttributeError) as error:
        raise NoData(Reason.MALFORMED, f"the list of volumes of {backup.name}: {error!r}") from None
    count = len(skipped) if spec.measure == "volumes_skipped" else len(volumes) - len(skipped)
    return Value(float(count), age=0.0, detail="; ".join([said, *why]))


def _unsynced(spec: Spec, site: Site, of: str | None) -> Value:
    here = {b.name for b in site.backups(spec.schedule, spec.namespace) if not b.unfit(site.now, spec.least)}
    there = site.at(of or site.region)
    made = [b.name for b in there.backups(spec.schedule, spec.namespace) if not b.unfit(site.now, spec.least)]
    if not made:
        # Nothing is missing there, and nothing is proven either.
        raise NoData(Reason.EMPTY, f"no backup{_whose(spec)} in {there.region} could be restored")
    missing = [name for name in made if name not in here]
    said = f"{len(made)} in {there.region}" + (f", not here: {', '.join(missing[:5])}" if missing else "")
    return Value(float(len(missing)), age=0.0, detail=said)


def _running(spec: Spec, site: Site, of: str | None) -> Value:
    unended = [b for b in site.backups(spec.schedule, spec.namespace) if not b.over]
    if not unended:
        return Value(0.0, age=0.0)
    oldest = min(unended, key=lambda b: b.at)
    seconds = site.age(oldest.at, f"the start of {oldest.name}")
    return Value(seconds, age=0.0, detail=f"{oldest.name}: {oldest.phase}; {len(unended)} have not ended")


def _ended(spec: Spec, site: Site, of: str | None) -> Value:
    backup = next((b for b in site.backups(spec.schedule, spec.namespace) if b.over), None)
    if backup is None:
        raise NoData(Reason.EMPTY, f"no backup{_whose(spec)} has ended")
    completed = backup.phase == "Completed" and not backup.errors
    value = {"completed": completed, "items": backup.items, "errors": backup.errors, "warnings": backup.warnings}
    return Value(float(value[spec.measure]), age=0.0, detail=f"{backup.name}: {backup.phase}")


_OF_USABLE = ("age", "late", "volumes", "volumes_skipped", "unsynced")
_MEASURES: dict[str, Callable[[Spec, Site, str | None], Value]] = {
    "age": _age,
    "late": _late,
    "volumes": _volumes,
    "volumes_skipped": _volumes,
    "unsynced": _unsynced,
    "running": _running,
    **dict.fromkeys(("completed", "items", "errors", "warnings"), _ended),
}
