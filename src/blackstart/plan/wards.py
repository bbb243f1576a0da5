"""Which guardians a plan needs, and for what."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from blackstart.faults import foreign
from blackstart.faults.base import Fault, FaultError, fault_of
from blackstart.faults.restored import FAULT, NAMESPACES
from blackstart.faults.restored import KIND as RESTORED
from blackstart.fleet.environment import context_variables
from blackstart.fleet.errors import FleetError
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import CLUSTERED, Ref
from blackstart.plan.ward import Charge, Ward
from blackstart.procedures.choice import namespaces_of
from blackstart.schema.procedure import Restore, Step

_FAULTS = "blackstart.activities.faults"
_PATCHED = Charge.verbs


@dataclass(frozen=True)
class _Use:
    """An activity that makes a fault: which, and with what arguments."""

    fault: Fault
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class _Change:
    """One object that is changed. slip: the kind of fault whose record is on a slip; home: of its guardian."""

    region: str
    ref: Ref
    verbs: tuple[str, ...]
    slip: str
    home: str = ""


def wards(experiment: Mapping[str, Any], fleet: Fleet, steps: Iterable[Step] = ()) -> list[Ward]:
    """One for each namespace of each cluster in which the experiment, or a step, changes objects. Raises FaultError.

    Nodes and namespaces are in no namespace: their guardian is in another ward's of the
    region, the first by name, else in that of a workload of the fleet there.
    Asks the clusters where an action names its objects by a selector.
    """
    uses = [
        _Use(*made)
        for activity in experiment.get("method") or []
        if (fault := _fault(activity)) and getattr(fault, "guarded", True)
        if (made := fault_in(activity, experiment, fleet))
    ]
    changes = [change for use in uses for change in _changes(use, fleet)]
    # A fault's id ends in its number among those of its kind, so no more of a kind than this can leave a slip.
    numbers = Counter(use.fault.kind for use in uses)
    for step in steps:
        if step.restore:
            changes += _restored(step.restore, fleet)
            numbers[RESTORED] += 1
    found: dict[tuple[str, str], list[_Change]] = {}
    for change in changes:
        namespace = change.home or change.ref.namespace or _home(change.region, changes, fleet)
        found.setdefault((change.region, namespace), []).append(change)
    return [
        Ward(region, namespace, _charges(here), _slips(here, numbers))
        for (region, namespace), here in sorted(found.items())
    ]


def _restored(wanted: Restore, fleet: Fleet) -> Iterator[_Change]:
    """The namespaces that a step makes; their guardian is in Velero's. Nothing where lint has something to say."""
    region = fleet.roles.get(wanted.target, wanted.target)
    velero = fleet.regions[region].velero if region in fleet.regions else None
    source = fleet.roles.get(wanted.source, wanted.source)
    if velero is None:
        return
    for name in namespaces_of(fleet, wanted, source).values():
        yield _Change(region, Ref(NAMESPACES, "", name), FAULT.verbs, RESTORED, velero.namespace)


def _charges(changes: Iterable[_Change]) -> tuple[Charge, ...]:
    verbs: dict[Ref, dict[str, None]] = {}
    for change in changes:
        verbs.setdefault(change.ref, {}).update(dict.fromkeys(change.verbs))
    return tuple(Charge(ref, tuple(named)) for ref, named in sorted(verbs.items(), key=lambda item: str(item[0])))


def _slips(changes: Iterable[_Change], numbers: Mapping[str, int]) -> tuple[str, ...]:
    kinds = sorted({change.slip for change in changes if change.slip})
    return tuple(f"{kind}-{number}" for kind in kinds for number in range(1, numbers[kind] + 1))


def _home(region: str, changes: Iterable[_Change], fleet: Fleet) -> str:
    """The namespace of the guardian for the nodes of a region. Raises FaultError."""
    for home in sorted({change.home for change in changes if change.region == region and change.home}):
        return home  # A run has one ClusterRole in a cluster: whoever looks after namespaces has the nodes, too.
    guarded = sorted({c.ref.namespace for c in changes if c.region == region and c.ref.namespace})
    workloads = sorted(s.workloads[region].namespace for s in fleet.services.values() if region in s.workloads)
    for namespace in (*guarded, *workloads):
        return namespace
    raise FaultError(
        f"no service of fleet {fleet.fleet!r} has a workload in region {region!r}, so there is no namespace for the "
        "guardian of its nodes; add one to fleet.yaml, or write `undo: none` and a `reason` beside the action"
    )


def fault_in(
    activity: Mapping[str, Any], experiment: Mapping[str, Any], fleet: Fleet
) -> tuple[Fault, dict[str, Any]] | None:
    """The fault that an activity is, with its arguments; None where nothing is put back. Raises FaultError."""
    provider = activity.get("provider") or {}
    arguments = dict(provider.get("arguments") or {})
    fault, known = _fault(activity), foreign.known(provider)
    if fault is None:
        return None
    if known:
        arguments |= {**known.fixed, "run": "", "region": _region(provider, experiment, fleet)}
    return fault, arguments


def _fault(activity: Mapping[str, Any]) -> Fault | None:
    provider = activity.get("provider") or {}
    if provider.get("module") == _FAULTS and provider.get("func") != "undo":
        return fault_of(str(provider.get("func")).replace("_", "-"))
    known = foreign.known(provider)
    return fault_of(known.kind) if known and not foreign.accepted(activity) else None


def _changes(use: _Use, fleet: Fleet) -> Iterator[_Change]:
    """The objects that a fault changes. Raises FaultError."""
    fault = use.fault
    slip = fault.kind if getattr(fault, "slipped", False) else ""
    try:
        targets = fault.targets(fleet, dict(use.arguments))
    except FleetError as error:
        raise FaultError(
            f"{fault.kind}: which objects it changes cannot be known, so no guardian can look after them: {error}"
        ) from error
    for target in targets:
        for region, *ref in sorted(foreign.about(target.data)):
            home = str(target.data.get("namespace", "")) if ref[0] in CLUSTERED else ""
            yield _Change(region, Ref(*ref), getattr(fault, "verbs", _PATCHED), slip, home)


def _region(provider: Mapping[str, Any], experiment: Mapping[str, Any], fleet: Fleet) -> str:
    """The region of the context that an action of another extension names. Raises FaultError."""
    contexts = {region.cluster.context: name for name, region in fleet.regions.items()}
    for name in provider.get("secrets") or []:
        said = (experiment.get("secrets") or {}).get(name, {}).get("KUBERNETES_CONTEXT")
        variable = str(said.get("key")) if isinstance(said, Mapping) else ""
        region = context_variables(fleet).get(variable) or contexts.get(os.environ.get(variable, str(said)))
        if region:
            return region
    raise FaultError(
        f"{provider.get('module')}.{provider.get('func')}: its KUBERNETES_CONTEXT is of no region of fleet "
        f"{fleet.fleet!r}, so no guardian can be put there; use one of {', '.join(context_variables(fleet))}"
    )
