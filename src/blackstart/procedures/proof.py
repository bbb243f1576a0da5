"""What was in a backup against what is in the cluster, object by object. Pure.

A restore that says `Completed` proves nothing: what exists already and
differs is left as it is, with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from blackstart.evidence.restores import RestoredObject, Tally
from blackstart.fleet.objects import Object
from blackstart.procedures.archive import Kept, Listed, Said
from blackstart.procedures.likeness import differences
from blackstart.schema.restore import DERIVED

SHOWN = 200
"""Objects that are not proven and are named."""

WORKLOADS = ("deployments.apps", "statefulsets.apps", "daemonsets.apps")

_NEVER = ("events", "events.events.k8s.io", "endpoints", "endpointslices.discovery.k8s.io")
_OWN = (("configmaps", "kube-root-ca.crt"), ("serviceaccounts", "default"))
"""Every namespace has them from the start, its cluster's own."""

_ROOT = re.compile(r"\bkube-root-ca\.crt\b")
"""The one thing that a sound restore warns of: it is another cluster's certificate."""

_FIELDS = 5


@dataclass(frozen=True)
class Scope:
    """What a restore is about: the namespaces and what each is called now, and kinds, as Velero names them.

    `workloads`: kind and name of what the fleet says runs in a namespace of
    the backup: it must be there, whatever the backup says.
    """

    namespaces: Mapping[str, str]
    include: Collection[str] = ()
    exclude: Collection[str] = ()
    workloads: Mapping[str, Collection[tuple[str, str]]] = field(default_factory=dict)

    def wants(self, kind: str) -> bool:
        """Whether the filters let a kind through: `pods`, `replicasets.apps`, either with or without its group."""
        names = {kind, kind.partition(".")[0]}
        included = not self.include or "*" in self.include or bool(names & {*self.include})
        return included and not names & {*self.exclude}


@dataclass(frozen=True)
class Proof:
    """What came of it, by kind; `objects`: those that are not proven. `objections`: besides objects."""

    tallies: dict[str, Tally]
    objects: list[RestoredObject]
    objections: list[str]
    left_out: dict[str, int]

    @property
    def whole(self) -> bool:
        """Whether nothing speaks against it; what could not be compared does not."""
        bad = any(tally.missing or tally.differs for tally in self.tallies.values())
        return bool(self.tallies) and not bad and not self.objections


def expected(kept: Iterable[Kept], scope: Scope) -> tuple[list[Kept], dict[str, int]]:
    """The objects that must be back; how many of each kind controllers make anew, or the filters leave out."""
    wanted, left_out = [], dict[str, int]()
    for each in kept:
        if each.namespace not in scope.namespaces:
            continue
        if _derived(each) or not scope.wants(each.kind):
            left_out[each.kind] = left_out.get(each.kind, 0) + 1
        elif (each.kind, each.name) not in _OWN:
            wanted.append(each)
    return wanted, left_out


def prove(kept: Iterable[Kept], found: Mapping[tuple[str, str], Mapping[str, Object]], scope: Scope) -> Proof:
    """Compare. `found`: by kind and the namespace of now, the objects by name."""
    everything = list(kept)
    wanted, left_out = expected(everything, scope)
    outcomes = [*(_outcome(each, found, scope) for each in wanted), *_absent(wanted, scope)]
    tallies: dict[str, Tally] = {}
    for each in outcomes:
        tally = tallies.get(each.kind, Tally())
        tallies[each.kind] = tally.model_copy(update={each.outcome: getattr(tally, each.outcome) + 1})
    for kind, extra in _extra(everything, wanted, found, scope):
        tallies[kind] = tallies.get(kind, Tally()).model_copy(update={"extra": extra})
    empty = [
        f"the backup holds nothing of namespace {name!r} that could be restored: it was empty, or selects nothing"
        for name in scope.namespaces
        if not any(each.namespace == name for each in wanted)
    ]
    shown = [each for each in outcomes if each.outcome != "proven"]
    return Proof(tallies, shown[:SHOWN], empty, left_out)


def objections(lines: Iterable[Listed], said: Said, scope: Scope) -> list[str]:
    """What Velero's own words say against a restore."""
    places = {*scope.namespaces.values(), ""}
    found = [f"Velero: {text}" for text in said.errors]
    found += [f"Velero warns: {text}" for text in said.warnings if not _ROOT.search(text)]
    for line in lines:
        if line.outcome == "failed" and not _ROOT.search(line.name):
            found.append(f"Velero could not restore {line.kind} {line.namespace}/{line.name}")
        elif line.namespace not in places and line.outcome in ("created", "updated"):
            found.append(f"Velero restored {line.kind} {line.name} into {line.namespace!r}, another namespace")
    return found


def _outcome(each: Kept, found: Mapping[tuple[str, str], Mapping[str, Object]], scope: Scope) -> RestoredObject:
    now = scope.namespaces[each.namespace]
    there = found.get((each.kind, now), {}).get(each.name)
    named = {"kind": each.kind, "name": f"{now}/{each.name}"}
    if there is None:
        return RestoredObject(**named, outcome="missing", detail="in the backup, not in the cluster")
    fields = differences(each.body, there, scope.namespaces, each.kind)
    if fields:
        more = f" and {len(fields) - _FIELDS} more" if len(fields) > _FIELDS else ""
        return RestoredObject(**named, outcome="differs", detail=f"{', '.join(fields[:_FIELDS])}{more}")
    if each.kind == "persistentvolumeclaims":
        return RestoredObject(**named, outcome="unproven", detail="what is on its volume was not compared")
    return RestoredObject(**named, outcome="proven")


def _absent(wanted: Iterable[Kept], scope: Scope) -> Iterator[RestoredObject]:
    """What runs there by fleet.yaml and is not in the backup at all."""
    there = {(each.namespace, each.kind, each.name) for each in wanted}
    for namespace, workloads in scope.workloads.items():
        for kind, name in workloads:
            if namespace in scope.namespaces and (namespace, kind, name) not in there:
                where = f"{scope.namespaces[namespace]}/{name}"
                detail = "runs there by fleet.yaml, is not in the backup"
                yield RestoredObject(kind=kind, name=where, outcome="missing", detail=detail)


def _extra(
    everything: Iterable[Kept],
    wanted: Iterable[Kept],
    found: Mapping[tuple[str, str], Mapping[str, Object]],
    scope: Scope,
) -> Iterator[tuple[str, int]]:
    """How many objects of each kind are in the cluster and were not in the backup."""
    known = {(each.kind, scope.namespaces.get(each.namespace), each.name) for each in everything}
    for kind in sorted({each.kind for each in wanted}):
        count = sum(
            (kind, namespace, name) not in known and (kind, name) not in _OWN and not _owned(body)
            for (of, namespace), bodies in found.items()
            if of == kind
            for name, body in bodies.items()
        )
        if count:
            yield kind, count


def _derived(each: Kept) -> bool:
    token = each.kind == "secrets" and each.body.get("type") == "kubernetes.io/service-account-token"
    return each.kind in _NEVER or token or _owned(each.body)


def _owned(body: Object) -> bool:
    return any(owner.get("controller") for owner in body["metadata"].get("ownerReferences") or [])


def digests(kept: Iterable[Kept]) -> dict[str, dict[str, str]]:
    """Namespace -> image as it is written -> the digest that its pods ran, where the backup has pods."""
    found: dict[str, dict[str, str]] = {}
    for each in kept:
        if each.kind == "pods":
            found.setdefault(each.namespace, {}).update(running(each.body))
    return found


def running(pod: Object) -> dict[str, str]:
    """Image as it is written -> the digest that runs of it."""
    wanted = {str(c.get("name")): str(c.get("image")) for c in (pod.get("spec") or {}).get("containers") or []}
    told = {
        str(c.get("name")): str(c.get("imageID") or "")
        for c in (pod.get("status") or {}).get("containerStatuses") or []
    }
    return {image: told[name].rpartition("@")[2] for name, image in wanted.items() if told.get(name)}


def other_images(before: Mapping[str, str], pods: Iterable[Object]) -> tuple[list[str], list[str]]:
    """Images of these pods that run by another digest than before, and those of which that is not known."""
    wrong, unknown = dict[str, None](), dict[str, None]()
    for pod in pods:
        for image, digest in running(pod).items():
            known = image.rpartition("@")[2] if "@" in image else before.get(image)
            if known is None:
                unknown[image] = None
            elif known != digest:
                wrong[f"{image} runs as {digest}, was {known}"] = None
    return list(wrong), list(unknown)


__all__ = [
    "DERIVED",
    "WORKLOADS",
    "Proof",
    "Scope",
    "digests",
    "expected",
    "objections",
    "other_images",
    "prove",
    "running",
]
