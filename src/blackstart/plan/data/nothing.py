"""What keeps a drill's stores from losing nothing, where its objectives say that nothing may be lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from blackstart.plan.data.check import lint_data
from blackstart.plan.data.live import read_fleet
from blackstart.plan.data.model import Said
from blackstart.plan.resolve import Plan
from blackstart.schema.drill import LostWritesObjective, RpoObjective
from blackstart.schema.errors import ContentError, Finding


def nothing_lost(plan: Plan) -> list[Finding]:
    """Findings of `lint --data --rpo 0s`, as warnings, about stores that are promoted and may lose nothing.

    Asks their servers; one that does not answer is a warning, too.
    """
    stores = {name: plan.fleet.stores[name] for name in dict.fromkeys(_strict(plan)) if name in plan.fleet.stores}
    if not stores:
        return []
    try:
        found = lint_data(read_fleet(plan.fleet.model_copy(update={"stores": stores}), Said(0.0)).data)
    except ContentError as error:
        found = list(error.findings)
    return [replace(finding, severity="warning") for finding in found]


def _strict(plan: Plan) -> Iterator[str]:
    fleet = plan.fleet
    promoted = [fleet.resolve(step.promote.store) for step in plan.drill.procedure if step.promote]
    for asked in plan.drill.objectives:
        if isinstance(asked, RpoObjective | LostWritesObjective) and asked.objective == 0:
            mine = fleet.services[plan.services[asked.service]].stores
            named = fleet.resolve(asked.store) if asked.store else None
            yield from (name for name in promoted if name in mine and named in (None, name))
