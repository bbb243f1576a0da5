"""Rules about a drill's ledger: where its writes go, where they must end up, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.fleet.model import Fleet, Service
from blackstart.plan.content import Content
from blackstart.plan.rules import Rules
from blackstart.schema.drill import ConvergenceObjective, LostWritesObjective, OrderObjective, RpoObjective
from blackstart.schema.errors import Finding, KeyPath, unknown

_WritesObjective = RpoObjective | LostWritesObjective | OrderObjective | ConvergenceObjective

LEDGER_RULES: Rules[Content] = Rules()


@LEDGER_RULES.add("BS211", "error", "The ledger writes through a service of the drill.")
def _service(content: Content) -> Iterator[Finding]:
    ledger, services = content.drill.ledger, content.drill.services
    if ledger and ledger.service not in services:
        yield content.document.finding(("ledger", "service"), unknown("service", ledger.service, services))


@LEDGER_RULES.add("BS212", "error", "The ledger's service has `writes`, and stores with `records`, in fleet.yaml.")
def _writes(content: Content) -> Iterator[Finding]:
    if (found := _of_fleet(content)) is None:
        return
    fleet, name, service = found
    path = ("ledger", "service")
    if service.writes is None:
        text = f"service {name!r} has no `writes` in fleet {fleet.fleet!r}: nothing could be written"
        yield content.document.finding(path, text, "add its url and place")
    if not service.stores:
        text = f"service {name!r} has no `stores` in fleet {fleet.fleet!r}: nothing could be read back"
        yield content.document.finding(path, text)
    for store in service.stores:
        if not fleet.stores[store].records:
            text = f"store {store!r} has no `records` in fleet {fleet.fleet!r}: nothing could be read back from it"
            yield content.document.finding(path, text)


@LEDGER_RULES.add("BS213", "error", "A store's records have one place for the ids: `%s` in a SELECT, `*` in keys.")
def _records(content: Content) -> Iterator[Finding]:
    if (found := _of_fleet(content)) is None:
        return
    fleet, _, service = found
    for store in service.stores:
        sign = "*" if fleet.stores[store].kind == "redis" else "%s"
        for record, spec in fleet.stores[store].records.items():
            if (n := spec.ids.count(sign)) != 1:
                text = f"`ids` of {store}/{record} in fleet {fleet.fleet!r} has {n} {sign!r}; one stands for the ids"
                yield content.document.finding(("ledger", "service"), text, "correct it in fleet.yaml")


@LEDGER_RULES.add("BS214", "error", "An objective about written data needs a ledger of the same service.")
def _needs_ledger(content: Content) -> Iterator[Finding]:
    ledger = content.drill.ledger
    for path, objective in _objectives(content):
        if ledger is None:
            text = f"{objective.kind} cannot be known without numbered writes"
            yield content.document.finding(path, text, f"add: ledger: {{service: {objective.service}}}")
        elif objective.service != ledger.service:
            text = f"the ledger writes through {ledger.service!r}, not {objective.service!r}"
            yield content.document.finding((*path, "service"), text)


@LEDGER_RULES.add("BS215", "error", "An objective about written data names stores and records that the fleet has.")
def _scope(content: Content) -> Iterator[Finding]:
    if (found := _of_fleet(content)) is None:
        return
    fleet, _, service = found
    for path, objective in _objectives(content):
        names = fleet.players(service.stores)
        if objective.store is not None and objective.store not in names:
            yield content.document.finding((*path, "store"), unknown("store", objective.store, names))
            continue
        chosen = [fleet.roles.get(objective.store, objective.store)] if objective.store else service.stores
        records = sorted({record for store in chosen for record in fleet.stores[store].records})
        if objective.record is not None and objective.record not in records:
            yield content.document.finding((*path, "record"), unknown("record", objective.record, records))


@LEDGER_RULES.add("BS216", "warning", "A drill with a ledger says how much may be lost.")
def _no_bound(content: Content) -> Iterator[Finding]:
    if content.drill.ledger and not list(_objectives(content)):
        text = "no objective says how much may be lost: losses are reported, and fail nothing"
        yield content.document.finding(("ledger",), text, "add an rpo or lost-writes objective")


@LEDGER_RULES.add("BS217", "error", "What must converge is multi-active, and is written to at each of its members.")
def _both_sides(content: Content) -> Iterator[Finding]:
    if (found := _of_fleet(content)) is None:
        return
    fleet, name, service = found
    entries = service.writes.urls if service.writes else {}
    for path, objective in _objectives(content):
        if not isinstance(objective, ConvergenceObjective):
            continue
        chosen = [fleet.roles.get(objective.store, objective.store)] if objective.store else service.stores
        active = {store: fleet.stores[store] for store in chosen if store in fleet.stores}
        active = {store: kept for store, kept in active.items() if kept.multi_active}
        if not active:
            text = f"no store of {name!r} is multi-active in fleet {fleet.fleet!r}: there is nothing to converge"
            yield content.document.finding(path, text, "the lab has one with `lab up --data --multi-active`")
        for store, kept in active.items():
            if lacking := [region for region in kept.members if region not in entries]:
                text = f"{store!r} has a member in {', '.join(lacking)}, but nothing is written there"
                yield content.document.finding(path, text, f"give services.{name}.writes `urls`, one for each region")


@LEDGER_RULES.add("BS218", "error", "Each entry that the ledger's writers come in at has at least one of them.")
def _a_writer_each(content: Content) -> Iterator[Finding]:
    ledger, found = content.drill.ledger, _of_fleet(content)
    if ledger and found and found[2].writes and ledger.writers < (n := len(found[2].writes.entries)):
        text = f"{ledger.writers} writers for {n} entries: some get none"
        yield content.document.finding(("ledger", "writers"), text, f"have at least {n}")


def _of_fleet(content: Content) -> tuple[Fleet, str, Service] | None:
    """The fleet, and its service that the ledger writes through, where both are known."""
    ledger, fleet = content.drill.ledger, content.fleet
    if ledger is None or fleet is None:
        return None
    name = fleet.roles.get(ledger.service, ledger.service)
    return (fleet, name, fleet.services[name]) if name in fleet.services else None


def _objectives(content: Content) -> Iterator[tuple[KeyPath, _WritesObjective]]:
    for i, objective in enumerate(content.drill.objectives):
        if isinstance(objective, _WritesObjective):
            yield ("objectives", i), objective
