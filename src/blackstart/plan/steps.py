"""What an experiment does, step by step: what each step breaks, and who puts that back when the run cannot.

Pure but for actions of other extensions that choose among what is there:
those ask the cluster, and change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from blackstart.faults import foreign
from blackstart.faults.base import Expiring, Fault
from blackstart.plan.resolve import Plan
from blackstart.plan.ward import Ward
from blackstart.plan.wards import fault_in, wards
from blackstart.schema.errors import BlackstartError

Section = Literal["steady-state", "method", "rollbacks"]
Back = Literal["guardian", "kernel", "watchdog", "nobody"]

_OWNERS = "there is nothing to write, whoever owns the pods makes new ones"
_ONLY_HERE = "no cluster has a record of it: `blackstart recover` puts it back where the undo store of this run is"
_REASONS: dict[str, tuple[Back, str]] = {
    "delete-namespace": ("nobody", "there is nothing to write, what is deleted was made by the drill to be lost"),
    "delete-pods": ("nobody", _OWNERS),
    "foreign-pods": ("nobody", _OWNERS),
    "freeze-observer": ("watchdog", _ONLY_HERE),
    "kill": ("watchdog", "nothing inside a region without power can bring it back"),
    "kill-bucket": ("watchdog", _ONLY_HERE),
    "kill-observer": ("watchdog", _ONLY_HERE),
    "kill-store": ("watchdog", _ONLY_HERE),
    "stop-replication": ("watchdog", _ONLY_HERE),
}
"""Kind of fault -> who puts it back and why, where that is neither a guardian nor the kernel."""

_ELSE: tuple[Back, str] = (
    "watchdog",
    "guardians do not look after this; `blackstart recover` does, from any machine",
)


@dataclass(frozen=True)
class Step:
    """One activity, in the order of the run.

    breaks: what it changes. back: who puts that back when the run cannot any
    more, None where nothing is changed; why: how, or why nobody else does.
    skipped: when it is not called, and what happens instead. problem: why the
    run would refuse it, or why that is not known. foreign: whether it changes
    something by code that is not blackstart's.
    """

    section: Section
    type: str
    name: str
    does: str
    breaks: tuple[str, ...] = ()
    back: Back | None = None
    why: str = ""
    skipped: str = ""
    problem: str = ""
    foreign: bool = False


def steps(plan: Plan) -> list[Step]:
    """Every activity: the steady state before, the method, the rollbacks."""
    hypothesis = plan.experiment.get("steady-state-hypothesis") or {}
    return [
        *(_step("steady-state", activity) for activity in hypothesis.get("probes") or []),
        *(_broken(activity, plan) for activity in plan.experiment.get("method") or []),
        *(_rolled_back(activity) for activity in plan.experiment.get("rollbacks") or []),
    ]


def _step(section: Section, activity: Mapping[str, Any]) -> Step:
    provider = activity.get("provider") or {}
    named = [provider[key] for key in ("module", "func") if key in provider]
    does = ".".join(named) or str(provider.get("path") or provider.get("url") or "")
    name = str(activity.get("name") or activity.get("ref") or "?")
    return Step(section, str(activity.get("type", "probe")), name, does, foreign=foreign.is_foreign(activity))


def _broken(activity: Mapping[str, Any], plan: Plan) -> Step:
    step = _step("method", activity)
    if foreign.is_foreign(activity) and foreign.accepted(activity):
        return replace(step, back="nobody", why=f"undo: none, because {activity['reason']}")
    try:
        found = fault_in(activity, plan.experiment, plan.fleet)
        if found is None:
            return step
        fault, arguments = found
        # As the run's environment tells the action.
        targets = fault.targets(plan.fleet, {**arguments, "lease": plan.drill.lease})
        guarded = wards({**plan.experiment, "method": [activity]}, plan.fleet)
    except BlackstartError as error:
        return replace(step, problem=str(error))
    back, why = _way_back(fault, guarded, arguments.get("expires"), plan.drill.lease)
    breaks = tuple(f"{fault.kind} {target.name}" for target in targets)
    return replace(step, breaks=breaks, back=back, why=why)


def _way_back(fault: Fault, guarded: Sequence[Ward], expires: float | None, lease: float) -> tuple[Back, str]:
    """Who puts back what the fault changed, when the run cannot, and how or why."""
    if guarded:
        return "guardian", f"{', '.join(map(str, guarded))}, {lease:g} s after the last sign of life"
    if isinstance(fault, Expiring):
        if expires is not None:
            return "kernel", f"it expires after {expires:g} s, as the experiment says; it is never renewed"
        return "kernel", f"it expires {lease:g} s after the last renewal"
    return _REASONS.get(fault.kind, _ELSE)


def _rolled_back(activity: Mapping[str, Any]) -> Step:
    step = _step("rollbacks", activity)
    known = foreign.is_foreign(activity) and foreign.known(activity.get("provider") or {})
    if not known or foreign.accepted(activity):
        return step
    return replace(step, skipped="where the run holds a record of the same object: that is put back in its place")
