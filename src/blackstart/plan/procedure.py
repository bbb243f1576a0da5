"""The steps of a drill's procedures as a plan tells them: what each does, who does it, what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from blackstart.fleet.model import Fleet
from blackstart.plan.resolve import Plan
from blackstart.procedures.base import kind_of
from blackstart.procedures.choice import namespaces_of
from blackstart.schema.procedure import Step


@dataclass(frozen=True)
class ProcedureStep:
    """One step. `longest`: seconds; `needs`: grants, programs, people."""

    part: Literal["procedure", "failback"]
    name: str
    does: str
    by: str
    longest: float
    needs: tuple[str, ...]


def procedure_steps(plan: Plan) -> Iterator[ProcedureStep]:
    """Both procedures of a drill, in order."""
    drill, fleet = plan.drill, plan.fleet
    for step in drill.procedure:
        yield _told("procedure", step, fleet)
    for step in drill.failback_procedure:
        yield _told("failback", step, fleet)


def _told(part: Literal["procedure", "failback"], step: Step, fleet: Fleet) -> ProcedureStep:
    kind = kind_of(step.kind)
    return ProcedureStep(part, step.name, _does(step, fleet), kind.by, step.longest, tuple(kind.needs(fleet, step)))


def _does(step: Step, fleet: Fleet) -> str:
    if step.restore is not None:
        source, target = (fleet.resolve(role) for role in (step.restore.source, step.restore.target))
        moved = [f"{old} as {new}" for old, new in namespaces_of(fleet, step.restore, source).items()]
        return f"restore {', '.join(moved) or 'nothing'} of {source} in {target}, backup {step.restore.backup}"
    if step.on is None:
        return step.kind
    store, region = (fleet.resolve(role) for role in step.on)
    word = step.kind.replace("_", " ")
    return f"{word} {store} {'to' if step.kind in ('promote', 'switch_back') else 'in'} {region}"
