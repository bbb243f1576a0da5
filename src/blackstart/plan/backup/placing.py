"""Rules about where backups lie and who may write there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from blackstart.plan.backup import links
from blackstart.plan.backup.model import BackupConfig
from blackstart.plan.backup.stores import (
    Location,
    inside,
    located,
    location_of,
    locations,
    protects,
    region,
    writers,
)
from blackstart.plan.backup.templates import templates
from blackstart.plan.rules import Rules
from blackstart.plan.values import text
from blackstart.schema.errors import Finding, KeyPath

RULES: Rules[BackupConfig] = Rules()


@RULES.add(
    "BSB201",
    "error",
    "The bucket is not in the region whose backups it holds.",
    why="When the region is lost, its backups are lost or out of reach with it, just when they are needed.",
    fix="use a bucket in another region, or replicate it to one and give the other cluster a ReadOnly location there",
    link=links.LOCATIONS,
)
def _region(config: BackupConfig) -> Iterator[Finding]:
    for one in locations(config):
        home = region(one.cluster)
        lost_with = config.live.bucket.get(one.bucket) if config.live else None
        if not protects(config, one) or _replica(config, one, home):
            continue
        if home in one.regions:
            path: KeyPath = ("spec", "config", "s3Url" if one.host else "region")
            yield one.resource.finding(path, f"bucket {one.bucket} is in {home}, like the cluster {one.cluster.name}")
        elif lost_with in (home, one.cluster.name):
            path = ("spec", "objectStorage", "bucket")
            yield one.resource.finding(path, f"the fleet says that bucket {one.bucket} is lost with {lost_with}")


def _replica(config: BackupConfig, one: Location, home: str) -> bool:
    """Whether another cluster reads what must be a copy of the bucket, elsewhere."""
    others = (other for other in locations(config) if other.cluster.name != one.cluster.name)
    return any(
        other.read_only and other.store != one.store and other.regions and home not in other.regions
        for other in others
        if not any(other.store == third.store for third in locations(config) if not third.read_only)
    )


@RULES.add(
    "BSB202",
    "error",
    "The store is not a part of the cluster whose backups it holds.",
    why="A store that runs in the cluster, or answers at one of its addresses, is gone with it.",
    fix="put the store outside of every region that may be lost, or into another one",
    link=links.LOCATIONS,
)
def _inside(config: BackupConfig) -> Iterator[Finding]:
    for one in locations(config):
        if one.host and protects(config, one) and (what := inside(config, one.cluster, one.host)):
            message = f"{one.host} is {what} of the cluster {one.cluster.name}"
            yield one.resource.finding(("spec", "config", "s3Url"), message)


@RULES.add(
    "BSB203",
    "error",
    "Only one cluster may write to a location.",
    why="The other one deletes what it takes for expired or unwanted, and its backups mix with the first one's.",
    fix="set accessMode: ReadOnly where it is only restored from; where both make backups, give each its own prefix",
    link=links.MIGRATION,
)
def _writable(config: BackupConfig) -> Iterator[Finding]:
    shared: defaultdict[object, list[Location]] = defaultdict(list)
    for one in locations(config):
        if not one.read_only and one.bucket:
            shared[one.store].append(one)
    for group in shared.values():
        # Those that make no backups are the ones to close; where all do, all but the first.
        ordered = sorted(group, key=lambda one: not writers(config, one))
        for one in ordered[1:]:
            if one.cluster.name != (first := ordered[0]).cluster.name:
                message = f"{first.cluster.name} ({first.resource.where}) writes to bucket {one.bucket}, too"
                yield one.resource.finding(("spec", "accessMode"), message)


@RULES.add(
    "BSB204",
    "error",
    "The location of a schedule is there, and may be written to (with locations in the input).",
    why="Velero refuses each backup otherwise (phase FailedValidation).",
    fix="name a location of this cluster with accessMode ReadWrite, or mark one with default: true",
    link=links.LOCATIONS,
)
def _there(config: BackupConfig) -> Iterator[Finding]:
    for one in templates(config):
        if not any(located(one.cluster)):
            continue
        name, found = text(one.spec.get("storageLocation")), location_of(one)
        if found is None:
            missing = f"{one.cluster.name} has no location {name}" if name else "no location is the default one"
            yield one.finding(("storageLocation",), missing)
        elif found.read_only:
            yield one.finding(("storageLocation",), f"{found.resource.name} ({found.resource.where}) is ReadOnly")


@RULES.add(
    "BSB205",
    "warning",
    "A cluster that restores has a location for the bucket that the backups are in.",
    why="Velero learns of another cluster's backups from a location of its own only.",
    fix="add a BackupStorageLocation with that bucket and accessMode: ReadOnly to the restoring cluster",
    link=links.MIGRATION,
)
def _readable(config: BackupConfig) -> Iterator[Finding]:
    stores = {one.store for one in locations(config) if not one.read_only}
    buckets = sorted({one.bucket for one in locations(config) if not one.read_only})
    for cluster in config.clusters:
        own = {one.store for one in located(cluster)}
        # A copy of the bucket is another one.
        if stores and not own & stores and not any(one.read_only for one in located(cluster)):
            for resource in cluster.of("Restore"):
                path = ("spec", "scheduleName" if resource.spec.get("scheduleName") else "backupName")
                message = f"{cluster.name} has no location for bucket {', '.join(buckets)}"
                yield resource.finding(path, message)
