"""Rules about volumes, and about the databases on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from blackstart.plan.backup import links
from blackstart.plan.backup.model import BackupConfig
from blackstart.plan.backup.server import has_csi, servers
from blackstart.plan.backup.stores import region
from blackstart.plan.backup.templates import Template, canonical, covers, selects, templates
from blackstart.plan.backup.workloads import WORKLOADS, Claim, claims, databases, names, pod_metadata
from blackstart.plan.resources import Resource
from blackstart.plan.rules import Rules
from blackstart.plan.values import items, mapping, text
from blackstart.schema.errors import Finding, KeyPath

RULES: Rules[BackupConfig] = Rules()

_ANNOTATION = "backup.velero.io/backup-volumes"
_PRE_HOOK = "pre.hook.backup.velero.io/command"
type Way = Literal["files", "moved", "snapshot", "unknown", "none"]


def _claimed(one: Template) -> Iterator[Claim]:
    """The claims in the namespaces and selected by the labels of a backup."""
    for claim in claims(one.cluster):
        labels = mapping(claim.resource.metadata.get("labels"))
        if claim.resource.namespace and one.within(claim.resource.namespace) and one.selected(labels):
            yield claim


def _way(one: Template, claim: Claim) -> tuple[Way, KeyPath, str]:
    """How a volume gets into a backup; where it does not, where that is said and why."""
    if path := one.left_out("persistentvolumeclaims"):
        return "none", path, "leaves persistentvolumeclaims out"
    if one.spec.get("resourcePolicy"):
        return "unknown", (), ""
    if _by_files(one, claim):
        return "files", (), ""
    if one.spec.get("snapshotVolumes") is False:
        return "none", (*one.path, "snapshotVolumes"), "snapshotVolumes is false, and files are not backed up"
    csi = has_csi(one.cluster)
    if csi:
        return "moved" if one.switch("snapshotMoveData", "default-snapshot-move-data") else "snapshot", (), ""
    if path := one.left_out("persistentvolumes", "Cluster"):
        return "none", path, "leaves persistentvolumes out, and with them their snapshots"
    if any(one.cluster.of("VolumeSnapshotLocation")):
        return "snapshot", (), ""
    if servers(one.cluster):
        text = "there is no VolumeSnapshotLocation, no CSI, and files are not backed up"
        return "none", (*one.path, "snapshotVolumes"), text
    return "unknown", (), ""


def _by_files(one: Template, claim: Claim) -> bool:
    """Whether the files of a volume are read through its pod."""
    if claim.pods is None:
        return False
    annotations = pod_metadata(claim.pods, "annotations")
    if one.switch("defaultVolumesToFsBackup", "default-volumes-to-fs-backup"):
        return claim.volume not in _listed(annotations.get(f"{_ANNOTATION}-excludes"))
    return claim.volume in _listed(annotations.get(_ANNOTATION))


def _listed(value: object) -> list[str]:
    return [name.strip() for name in text(value).split(",") if name.strip()]


@RULES.add(
    "BSB311",
    "error",
    "Every volume that is claimed is in the backup.",
    why="Without snapshots or a backup of its files a volume is restored empty, and the restore is Completed.",
    fix="set defaultVolumesToFsBackup: true, or snapshotVolumes: true with snapshotMoveData: true",
    link=links.FILES,
)
def _volumes(config: BackupConfig) -> Iterator[Finding]:
    for one in templates(config):
        for claim in _claimed(one):
            way, path, why = _way(one, claim)
            if way == "none":
                where = claim.resource.manifest.place(claim.path)
                yield one.resource.finding(path, f"{claim.resource.namespace}/{claim.name} ({where}): {why}")


@RULES.add(
    "BSB312",
    "error",
    "The data of volumes can reach another region (with several clusters in the input).",
    why="Snapshots of AWS, Azure and most CSI drivers stay in the region that they were made in: the other region "
    "gets the objects, and no data.",
    fix="set snapshotMoveData: true (CSI) or defaultVolumesToFsBackup: true: both put the data into the bucket",
    link=links.CSI,
)
def _stay(config: BackupConfig) -> Iterator[Finding]:
    for one in templates(config):
        elsewhere = any(c.name != one.cluster.name and any(c.of(*_VELEROS)) for c in config.clusters)
        providers = {one.spec.get("provider") for one in one.cluster.of("VolumeSnapshotLocation")}
        # Snapshots of Google's disks are not bound to a region.
        if not elsewhere or providers & {"gcp", "velero.io/gcp"}:
            continue
        for claim in _claimed(one):
            if _way(one, claim)[0] == "snapshot":
                key = "snapshotMoveData" if "snapshotMoveData" in one.spec else "snapshotVolumes"
                message = f"snapshots of {claim.resource.namespace}/{claim.name} stay in {region(one.cluster)}"
                yield one.finding((key,), message)


_VELEROS = ("BackupStorageLocation", "Restore")


@RULES.add(
    "BSB313",
    "error",
    "Pods are in a backup whose hooks or volumes need them.",
    why="Velero runs hooks and reads the files of volumes while it backs up the pod; without pods it does neither, "
    "and says nothing.",
    fix="take pods out of excludedResources; leave them out of the Restore instead, if at all",
    link=links.FILES,
)
def _pods(config: BackupConfig) -> Iterator[Finding]:
    for one in templates(config):
        path = one.left_out("pods")
        if not path:
            continue
        read = next((claim for claim in _claimed(one) if _way(one, claim)[0] == "files"), None)
        if read:
            message = f"leaves pods out: the files of {read.resource.namespace}/{read.name} are not read"
            yield one.resource.finding(path, message)
        elif mapping(one.spec.get("hooks")).get("resources"):
            yield one.resource.finding(path, "leaves pods out: the hooks are not run")
        elif hooked := next((found for found in _annotated(one) if one.within(found.namespace)), None):
            message = f"leaves pods out: the hook of {hooked.namespace}/{hooked.name} is not run"
            yield one.resource.finding(path, message)


@RULES.add(
    "BSB314",
    "error",
    "Where files are backed up or snapshots moved, there is a node-agent (with Velero's Deployment in the input).",
    why="The node-agent reads the volumes; without it the backups are PartiallyFailed.",
    fix="install Velero with --use-node-agent (chart: deployNodeAgent: true)",
    link=links.FILES,
)
def _agent(config: BackupConfig) -> Iterator[Finding]:
    for one in templates(config):
        agents = {daemon.name for daemon in one.cluster.of("DaemonSet")}
        if not servers(one.cluster) or agents & {"node-agent", "restic"}:
            continue
        claim = next((claim for claim in _claimed(one) if _way(one, claim)[0] in ("files", "moved")), None)
        if claim:
            message = f"{one.cluster.name} has no node-agent to read {claim.resource.namespace}/{claim.name}"
            yield one.finding(("defaultVolumesToFsBackup",), message)


@RULES.add(
    "BSB321",
    "warning",
    "A database is brought to a consistent state before its backup: it has a pre-hook.",
    why="A copy of files that are being written may not start, or lack what was committed.",
    fix="add a pre-hook that dumps, or flushes and locks, to hooks.resources of the Schedule, or to the pods "
    f"(annotation {_PRE_HOOK})",
    link=links.HOOKS,
)
def _hooks(config: BackupConfig) -> Iterator[Finding]:
    for one in templates(config):
        for resource, path, database in databases(one.cluster):
            inside = resource.namespace and one.within(resource.namespace)
            if inside and not _hooked(one, resource):
                yield resource.finding(
                    path, f"{resource.name} is {database}; {one.resource.name} has no pre-hook for it"
                )


def _annotated(one: Template) -> Iterator[Resource]:
    """Workloads whose pods have a pre-hook in their annotations."""
    for resource in one.cluster.of(*WORKLOADS):
        if pod_metadata(resource, "annotations").get(_PRE_HOOK):
            yield resource


def _hooked(one: Template, resource: Resource) -> bool:
    if pod_metadata(resource, "annotations").get(_PRE_HOOK):
        return True
    labels = pod_metadata(resource, "labels")
    for _, hook in items(mapping(one.spec.get("hooks")).get("resources")):
        kinds = {canonical(name) for name in names(hook.get("includedResources"))} or {"pods"}
        within = covers(hook.get("includedNamespaces"), hook.get("excludedNamespaces"), resource.namespace)
        if hook.get("pre") and kinds & {"pods", "*"} and within and selects(hook.get("labelSelector"), labels):
            return True
    return False
