"""Everything that a run of a plan would do, told before anything is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from blackstart.fleet.lease import run_lease
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object
from blackstart.plan.guardians import cluster_role, manifests
from blackstart.plan.locks import Home, homes, majority
from blackstart.plan.permissions import Needed, operator_needs
from blackstart.plan.procedure import ProcedureStep, procedure_steps
from blackstart.plan.resolve import Plan
from blackstart.plan.steps import Step, steps
from blackstart.plan.touched import touched
from blackstart.plan.ward import Ward
from blackstart.plan.wards import wards
from blackstart.schema.drill import Phases
from blackstart.schema.errors import BlackstartError
from blackstart.schema.forecast import Forecast

DEADLINES = ("inject", "undo", "failback")
"""Phases that end as soon as they are done; the others are lengths."""

LEASE = "blackstart-<hash of the run>"
"""Stands for the name of a run's Lease, and of its guardian with all that belongs to it."""


@dataclass(frozen=True)
class Locks:
    """Which regions are locked, in which clusters, and in how many of those the run needs the locks."""

    regions: tuple[str, ...]
    homes: tuple[Home, ...]

    @property
    def needed(self) -> int:
        return majority(len(self.homes))


@dataclass(frozen=True)
class Watch:
    """One guardian: what it looks after, and the roles that it gets."""

    ward: Ward
    roles: tuple[Object, ...]


@dataclass(frozen=True)
class Outline:
    """What a run would do. `problems`: why it would be refused, or what is not known because nobody answers."""

    plan: Plan
    steps: tuple[Step, ...]
    locks: Locks
    guardians: tuple[Watch, ...]
    needs: tuple[Needed, ...]
    problems: tuple[str, ...]
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)
    procedure: tuple[ProcedureStep, ...] = ()

    @property
    def least(self) -> float:
        """Seconds that the phases take at least: those that end early take none."""
        return sum(seconds for name, seconds in lengths(self.plan.drill.phases) if name not in DEADLINES)

    @property
    def most(self) -> float:
        """Seconds that the phases take at most."""
        return sum(seconds for _, seconds in lengths(self.plan.drill.phases))

    def plain(self) -> dict[str, Any]:
        """The same as JSON data; durations in seconds."""
        plan, drill = self.plan, self.plan.drill
        return {
            "drill": drill.drill,
            "title": drill.title,
            "drill_file": str(plan.drill_file),
            "experiment": drill.experiment,
            "experiment_file": str(plan.experiment_file),
            "fleet": plan.fleet.fleet,
            "fleet_file": str(plan.fleet.source or ""),
            "digests": plan.digests,
            "destructive": drill.destructive,
            "services": plan.services,
            "victims": list(plan.victims),
            "survivors": list(plan.survivors),
            "steps": [asdict(step) for step in self.steps],
            "locks": {
                "regions": list(self.locks.regions),
                "homes": [_home(home) for home in self.locks.homes],
                "needed": self.locks.needed,
            },
            "guardian_image": plan.fleet.guardian.image if plan.fleet.guardian else None,
            "guardians": [_watch(watch) for watch in self.guardians],
            "permissions": [_needed(need) for need in self.needs],
            "procedure": [asdict(step) for step in self.procedure],
            "probes": [probe.model_dump(mode="json") for probe in plan.probes],
            "guards": [guard.model_dump(mode="json") for guard in drill.guards],
            "phases": dict(lengths(drill.phases)),
            "lease": drill.lease,
            "least": self.least,
            "most": self.most,
            "forecasts": {name: found.model_dump(mode="json") for name, found in self.forecasts.items()},
            "objectives": [objective.model_dump(mode="json") for objective in drill.objectives],
            "notes": [str(note) for note in plan.notes],
            "problems": list(self.problems),
        }


def outline(plan: Plan, forecasts: Mapping[str, Forecast] | None = None) -> Outline:
    """The outline of a plan, with what is expected of its services.

    Changes nothing; asks clusters only for actions that choose among what is there.
    """
    found = steps(plan)
    guarded, problems = _guarded(plan, [step for step in found if step.section == "method"])
    where = homes(plan.fleet, plan.survivors)
    return Outline(
        plan=plan,
        steps=tuple(found),
        locks=Locks(tuple(touched(plan.experiment, plan.fleet, plan.victims, plan.drill.procedure)), tuple(where)),
        guardians=tuple(Watch(ward, _roles(ward, plan.fleet)) for ward in guarded),
        needs=tuple(operator_needs(plan, guarded, where)),
        problems=(*(f"{step.name}: {step.problem}" for step in found if step.problem), *problems),
        forecasts=forecasts or {},
        procedure=tuple(procedure_steps(plan)),
    )


def lengths(phases: Phases) -> Iterator[tuple[str, float]]:
    """Name and seconds of each phase, in order."""
    return ((name, getattr(phases, name)) for name in type(phases).model_fields)


def _guarded(plan: Plan, method: Sequence[Step]) -> tuple[list[Ward], list[str]]:
    """The guardians that the method needs, as far as its steps are known, and what is wrong with them."""
    activities = plan.experiment.get("method") or []
    good = [activity for activity, step in zip(activities, method, strict=True) if not step.problem]
    try:
        found = wards({**plan.experiment, "method": good}, plan.fleet, plan.drill.procedure)
    except BlackstartError as error:
        return [], [f"guardians: {error}"]
    if found and plan.fleet.guardian is None:
        missing = "fleet.yaml names no `guardian.image`, and this drill needs one; see `blackstart guardian-image`"
        return found, [f"guardians: {missing}"]
    return found, []


def _roles(ward: Ward, fleet: Fleet) -> tuple[Object, ...]:
    """The roles among what would be made in the cluster, without what only a run knows."""
    image = fleet.guardian.image if fleet.guardian else ""
    made = manifests(ward, {}, "", fleet.regions[ward.region].cluster.uid, image)
    cluster = [cluster_role(ward, "")] if ward.nodes else []
    return tuple(_role(manifest, ward) for manifest in (*cluster, *made) if "rules" in manifest)


def _role(manifest: Object, ward: Ward) -> Object:
    metadata = {key: manifest["metadata"][key] for key in ("name", "namespace") if key in manifest["metadata"]}
    text = json.dumps({**manifest, "metadata": metadata}).replace(run_lease("", "").name, LEASE)
    for slip, fault in zip(ward.slip_refs(""), ward.slips, strict=True):
        text = text.replace(slip.name, f"blackstart-undo-<hash of the run's {fault}>")
    role: Object = json.loads(text)
    return role


def _home(home: Home) -> dict[str, Any]:
    return {"name": home.name, "context": home.cluster.context, "namespace": home.namespace}


def _watch(watch: Watch) -> dict[str, Any]:
    ward = watch.ward
    targets = [asdict(charge.ref) for charge in ward.charges]
    return {"region": ward.region, "namespace": ward.namespace, "targets": targets, "roles": list(watch.roles)}


def _needed(need: Needed) -> dict[str, Any]:
    rights = [{"verb": verb, "resource": resource, "group": group} for verb, resource, group in need.rights]
    return {**asdict(need), "rights": rights}
