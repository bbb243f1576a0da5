"""Rules about steps that restore a backup: what they name, what the fleet must have for them."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.fleet.model import Fleet
from blackstart.plan.content import Content
from blackstart.plan.rules import Rules
from blackstart.procedures.choice import held, namespaces_of
from blackstart.schema.errors import Finding, KeyPath, unknown
from blackstart.schema.procedure import Restore, Step

RESTORE_RULES: Rules[Content] = Rules()

_ABOUT = ("restored", "backup-rpo", "restore-rto")


@RESTORE_RULES.add("BS505", "error", "The fleet has both regions of a step `restore`, Velero there, and the bucket.")
def _known(content: Content) -> Iterator[Finding]:
    fleet = content.fleet
    for path, wanted in _restores(content) if fleet else ():
        assert fleet is not None  # noqa: S101 - asked above
        for key, role in (("from", wanted.source), ("to", wanted.target)):
            if fleet.roles.get(role, role) not in fleet.regions:
                players = fleet.players(fleet.regions)
                yield content.document.finding((*path, key), unknown("region", role, players))
        target = fleet.regions.get(fleet.roles.get(wanted.target, wanted.target))
        if target and target.velero is None:
            text = f"{wanted.target} has no `velero` in fleet.yaml"
            yield content.document.finding((*path, "to"), text, "say where its Velero is")
        if fleet.backups is None:
            fix = "say where the bucket of the backups is; the lab has one with `lab up --backup`"
            yield content.document.finding(path, "the fleet has no `backups`", fix)


@RESTORE_RULES.add(
    "BS506", "error", "Backups are restored in `procedure`: what that makes is taken away by the undo."
)
def _before_the_undo(content: Content) -> Iterator[Finding]:
    for number, step in enumerate(content.drill.failback_procedure):
        if step.restore:
            path = ("failback_procedure", number, "restore")
            yield content.document.finding(path, "nobody takes away what it makes", "move it to `procedure`")


@RESTORE_RULES.add(
    "BS507", "error", "A namespace is restored under another name, or as a sandbox that the run deleted."
)
def _mapped(content: Content) -> Iterator[Finding]:
    fleet = content.fleet
    for path, wanted in _restores(content) if fleet else ():
        assert fleet is not None  # noqa: S101 - asked above
        target = fleet.roles.get(wanted.target, wanted.target)
        real = {s.workloads[target].namespace for s in fleet.services.values() if target in s.workloads}
        for old, new in wanted.namespaces.items():
            if new in real:
                text = f"{new!r} is a namespace of the fleet: nothing is restored into what the run did not make"
                yield content.document.finding((*path, "namespaces", old), text, f"map it: {old}: {old}-dr")


@RESTORE_RULES.add("BS508", "error", "A step `restore` of a `fresh` backup comes after an action `back_up`.")
def _fresh(content: Content) -> Iterator[Finding]:
    if content.experiment is None:
        return
    taken = any(
        a.provider.get("func") == "back_up" and a.module == "blackstart.activities.backups"
        for a in content.experiment.activities()
    )
    for path, wanted in _restores(content):
        if wanted.backup == "fresh" and not taken:
            fix = "add blackstart.activities.backups.back_up to the method, before the fault"
            yield content.document.finding((*path, "backup"), "the experiment takes no backup", fix)


@RESTORE_RULES.add("BS509", "error", "An objective about a backup is of a service that a step restores.")
def _objectives(content: Content) -> Iterator[Finding]:
    fleet, steps = content.fleet, list(_restores(content))
    restored = {name for _, wanted in steps for name in _services(fleet, wanted)} if fleet else set()
    for number, objective in enumerate(content.drill.objectives):
        if objective.kind not in _ABOUT:
            continue
        path: KeyPath = ("objectives", number)
        if not steps:
            yield content.document.finding((*path, "kind"), "no step restores a backup", "add a step `restore`")
        elif fleet and fleet.roles.get(objective.service, objective.service) not in restored:
            yield content.document.finding((*path, "service"), f"no step restores {objective.service!r}")


@RESTORE_RULES.add("BS510", "warning", "A drill that restores a backup says how much of it must be proven.")
def _judged(content: Content) -> Iterator[Finding]:
    if not any(objective.kind == "restored" for objective in content.drill.objectives):
        for path, _ in _restores(content):
            yield content.document.finding(path, "no objective is about it", "add an objective `restored`")


@RESTORE_RULES.add("BS512", "error", "The fleet has the `dumps` that a step counts, and the store that is dumped.")
def _dumped(content: Content) -> Iterator[Finding]:
    fleet = content.fleet
    for path, wanted in _restores(content) if fleet else ():
        assert fleet is not None  # noqa: S101 - asked above
        dump = wanted.dump
        if dump is None:
            continue
        where = (*path, "dump")
        if fleet.dumps is None:
            yield content.document.finding(where, "the fleet has no `dumps`", "say where hooks write database dumps")
        if dump.store is None:
            continue
        store = fleet.stores.get(fleet.roles.get(dump.store, dump.store))
        source = fleet.roles.get(wanted.source, wanted.source)
        if store is None:
            yield content.document.finding(
                (*where, "store"), unknown("store", dump.store, fleet.players(fleet.stores))
            )
        elif store.kind == "redis":
            yield content.document.finding((*where, "store"), f"{dump.store} is a redis: it has no tables")
        elif source not in store.members:
            yield content.document.finding((*where, "store"), f"{dump.store} has no server in {source}")
        if wanted.backup != "fresh":
            text = f"what {dump.store} has now says nothing of an earlier backup"
            yield content.document.finding((*where, "store"), text, "leave `store` out, or restore a `fresh` backup")


def _services(fleet: Fleet, wanted: Restore) -> list[str]:
    source = fleet.roles.get(wanted.source, wanted.source)
    return [each.service for each in held(fleet, source, namespaces_of(fleet, wanted, source))]


def _restores(content: Content) -> Iterator[tuple[KeyPath, Restore]]:
    steps: list[Step] = content.drill.procedure
    for number, step in enumerate(steps):
        if step.restore:
            yield ("procedure", number, "restore"), step.restore
