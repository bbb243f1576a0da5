"""Rules about the steps of a procedure: what they name, and whether the fleet lets them be done."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.fleet.model import Fleet
from blackstart.fleet.stores import Store
from blackstart.plan.content import Content
from blackstart.plan.rules import Rules
from blackstart.procedures.base import StepError
from blackstart.procedures.moves import moves_of
from blackstart.schema.errors import Finding, KeyPath, unknown
from blackstart.schema.procedure import Step

PROCEDURE_RULES: Rules[Content] = Rules()

_FOLLOWS = ("rejoin", "rebuild", "switch_back")


@PROCEDURE_RULES.add("BS501", "error", "The fleet has the store, and in it the region, of every step of a procedure.")
def _known(content: Content) -> Iterator[Finding]:
    if (fleet := content.fleet) is None:
        return
    for path, step in _steps(content):
        if step.on is None:
            continue
        role, region = step.on
        if (store := _store(fleet, role)) is None:
            players = fleet.players(fleet.stores)
            yield content.document.finding((*path, step.kind, "store"), unknown("store", role, players))
        elif fleet.roles.get(region, region) not in store.members:
            key = "to" if step.kind in ("promote", "switch_back") else "region"
            players = fleet.players(store.members)
            yield content.document.finding((*path, step.kind, key), unknown(f"server of {role}", region, players))


@PROCEDURE_RULES.add(
    "BS502", "error", "fleet.yaml has the logins that steps about a store need, and steps know its kind."
)
def _logins(content: Content) -> Iterator[Finding]:
    for path, step in _steps(content):
        store = _store(content.fleet, step.on[0]) if content.fleet and step.on else None
        if store is None:
            continue
        try:
            moves_of(store.kind)
        except StepError as error:
            yield content.document.finding((*path, step.kind), str(error))
        # A Redis may have no passwords at all.
        needed = ["admin", *(["replication"] if step.kind in _FOLLOWS and store.kind != "redis" else [])]
        missing = [name for name in needed if getattr(store, name) is None]
        if missing:
            text = f"the store has no {' and no '.join(f'`{name}`' for name in missing)} in fleet.yaml"
            yield content.document.finding((*path, step.kind), text, "add the login there")


@PROCEDURE_RULES.add("BS503", "error", "No two steps of a procedure have the same name.")
def _names(content: Content) -> Iterator[Finding]:
    seen = set()
    for path, step in _steps(content):
        if (path[0], step.name) in seen:
            yield content.document.finding((*path, "name"), f'a second step "{step.name}"')
        seen.add((path[0], step.name))


@PROCEDURE_RULES.add("BS504", "warning", "A store that a drill promotes is switched back at its end.")
def _home(content: Content) -> Iterator[Finding]:
    back = {step.on[0] for step in content.drill.failback_procedure if step.switch_back and step.on}
    for path, step in _steps(content):
        if step.promote and path[0] == "procedure" and step.promote.store not in back:
            text = f"nothing switches {step.promote.store} back: its primary stays away from home after the drill"
            yield content.document.finding((*path, "promote"), text, "add `switch_back` to `failback_procedure`")


@PROCEDURE_RULES.add("BS511", "error", "No step moves the primary of a multi-active store: it has none.")
def _nothing_to_move(content: Content) -> Iterator[Finding]:
    for path, step in _steps(content):
        store = _store(content.fleet, step.on[0]) if content.fleet and step.on else None
        if store and store.multi_active:
            text = (
                f"{step.kind}: the store is multi-active: every member takes writes, and none is promoted or rebuilt"
            )
            yield content.document.finding((*path, step.kind), text, "leave the step out")


def _steps(content: Content) -> Iterator[tuple[KeyPath, Step]]:
    for key in ("procedure", "failback_procedure"):
        for number, step in enumerate(getattr(content.drill, key)):
            yield (key, number), step


def _store(fleet: Fleet, role: str) -> Store | None:
    return fleet.stores.get(fleet.roles.get(role, role))
