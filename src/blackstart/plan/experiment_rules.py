"""Rules about an experiment: Chaos Toolkit accepts it, it names its cluster, and it can be undone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from blackstart.faults import foreign
from blackstart.faults.base import FaultError, fault_of
from blackstart.fleet.model import Fleet
from blackstart.plan.content import Activity, Experiment
from blackstart.plan.rules import Rules
from blackstart.schema.errors import Finding, unknown

EXPERIMENT_RULES: Rules[Experiment] = Rules()

_CONTEXT = "KUBERNETES_CONTEXT"
_MESH_FAULTS = ("blackhole_endpoints", "block_remote_api", "gateway_kill", "istiod_kill")
_OBSERVER_FAULTS = ("block_store_api", "freeze_observer", "kill_observer")
_NOWHERE = ("kill_bucket",)
"""What is in no region: there is one of it in a fleet."""
_STORE_FAULTS = ("kill_store", "sever_store", "stop_replication")


@EXPERIMENT_RULES.add("BS401", "error", "Chaos Toolkit accepts the experiment and finds each activity.")
def _valid(experiment: Experiment) -> Iterator[Finding]:
    from chaoslib.activity import ensure_activity_is_valid
    from chaoslib.experiment import ensure_experiment_is_valid

    document = experiment.document
    refused = False
    for activity in experiment.activities():
        if reason := _refusal(ensure_activity_is_valid, activity.data):
            refused = True
            yield document.finding(activity.path, reason)
    if not refused and (reason := _refusal(ensure_experiment_is_valid, _without_environment(document.data))):
        yield document.finding((), reason)


@EXPERIMENT_RULES.add("BS402", "error", "A fault of blackstart says which region or link it is for.")
def _says_where(experiment: Experiment) -> Iterator[Finding]:
    for activity in experiment.activities():
        nowhere = activity.provider.get("func") in _NOWHERE
        if activity.ours and activity.injects and not nowhere and not {"region", "link"} & set(activity.arguments):
            path = (*activity.path, "provider")
            yield experiment.document.finding(path, "names no region and no link", "add arguments.region")


@EXPERIMENT_RULES.add(
    "BS403", "error", "The fleet has a region, service, store or link end for every role of blackstart's activities."
)
def _roles(experiment: Experiment) -> Iterator[Finding]:
    fleet = experiment.fleet
    if fleet is None:
        return
    for activity in experiment.activities():
        if not activity.ours:
            continue
        for key, name, members in _named(activity, fleet):
            allowed = fleet.players(members)
            if name not in allowed:
                path = (*activity.path, "provider", "arguments", key)
                yield experiment.document.finding(path, unknown(f"{key} in fleet {fleet.fleet!r}", name, allowed))


@EXPERIMENT_RULES.add("BS404", "error", "An activity of chaosk8s names its cluster, never the current context.")
def _context(experiment: Experiment) -> Iterator[Finding]:
    data = experiment.document.data
    blocks = data.get("secrets") if isinstance(data, dict) else None
    for activity in experiment.activities():
        if activity.module.split(".")[0] != "chaosk8s":
            continue
        names = activity.provider.get("secrets")
        used = (
            [blocks.get(n) for n in names if isinstance(n, str)]
            if isinstance(blocks, dict) and isinstance(names, list)
            else []
        )
        if not any(isinstance(block, dict) and block.get(_CONTEXT) for block in used):
            path, fix = (*activity.path, "provider"), f"add secrets: [k8s] and a block secrets.k8s with {_CONTEXT}"
            yield experiment.document.finding(path, "would act on the current kube context", fix)


@EXPERIMENT_RULES.add("BS405", "error", "A fault of blackstart has its `undo` under rollbacks, or says `undo: none`.")
def _undone(experiment: Experiment) -> Iterator[Finding]:
    activities = list(experiment.activities())
    undone = any(a.ours and a.section == "rollbacks" and a.data.get("type") == "action" for a in activities)
    for activity in activities:
        if activity.injects and activity.ours and not undone and activity.data.get("undo") != "none":
            fix = "add blackstart.activities.faults.undo under rollbacks, or write `undo: none` here"
            yield experiment.document.finding(activity.path, "nothing puts this back", fix)


@EXPERIMENT_RULES.add("BS406", "error", "The method injects something.")
def _injects(experiment: Experiment) -> Iterator[Finding]:
    if not any(activity.injects for activity in experiment.activities()):
        yield experiment.document.finding(
            ("method",), "has no action: it breaks nothing, so a drill on it proves nothing"
        )


@EXPERIMENT_RULES.add(
    "BS407", "error", "An action of others is one that blackstart can put back, or says `undo: none` and a `reason`."
)
def _foreign(experiment: Experiment) -> Iterator[Finding]:
    for activity in experiment.activities():
        if activity.injects and (why := foreign.problem(activity.data)):
            fix = "write `undo: none` and a `reason` beside it, or use an action of docs/faults.md"
            yield experiment.document.finding(activity.path, why, fix)


@EXPERIMENT_RULES.add("BS408", "error", "The fleet has the mesh, and of it what each fault of a mesh needs.")
def _mesh(experiment: Experiment) -> Iterator[Finding]:
    yield from _lacking(experiment, _MESH_FAULTS)


@EXPERIMENT_RULES.add("BS409", "error", "The fleet has of a store what each fault of a store needs.")
def _store(experiment: Experiment) -> Iterator[Finding]:
    yield from _lacking(experiment, _STORE_FAULTS)


@EXPERIMENT_RULES.add("BS411", "error", "The fleet has of a region's observers what each fault of them needs.")
def _observer(experiment: Experiment) -> Iterator[Finding]:
    yield from _lacking(experiment, _OBSERVER_FAULTS)


@EXPERIMENT_RULES.add("BS410", "error", "The fleet has the bucket that is taken away, and how that is done.")
def _bucket(experiment: Experiment) -> Iterator[Finding]:
    yield from _lacking(experiment, _NOWHERE)


def _lacking(experiment: Experiment, faults: tuple[str, ...]) -> Iterator[Finding]:
    """What these faults miss in fleet.yaml, in their own words."""
    fleet = experiment.fleet
    if fleet is None:
        return
    for activity in experiment.activities():
        func = str(activity.provider.get("func"))
        if not (activity.ours and activity.injects and func in faults):
            continue
        if any(name not in fleet.players(members) for _, name, members in _named(activity, fleet)):
            continue  # BS403 says so.
        try:
            fault_of(func.replace("_", "-")).targets(fleet, dict(activity.arguments))
        except (FaultError, KeyError) as error:
            path = (*activity.path, "provider", "func")
            yield experiment.document.finding(path, f"{func} cannot be done: {error}")


def _named(activity: Activity, fleet: Fleet) -> Iterator[tuple[str, str, list[str]]]:
    """Each role in the arguments: the argument, the role, and who can play it."""
    ends = [*fleet.regions, *fleet.places]
    regions, services, stores = list(fleet.regions), list(fleet.services), list(fleet.stores)
    known = (("region", regions), ("remote", regions), ("service", services), ("store", stores), ("link", ends))
    for key, members in known:
        value = activity.arguments.get(key)
        for name in value if isinstance(value, list) else [value]:
            # `${...}` is filled in by Chaos Toolkit when it runs.
            if isinstance(name, str) and not name.startswith("${"):
                yield key, name, members


def _refusal(validate: Any, data: Any) -> str | None:
    """Why Chaos Toolkit refuses `data`; None if it does not."""
    try:
        with _quiet():
            validate(data)
    except Exception as error:  # noqa: BLE001 - its validation stumbles over wrong shapes with any built-in error
        return f"Chaos Toolkit refuses this: {error}" if str(error) else f"Chaos Toolkit refuses this: {error!r}"
    return None


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("chaostoolkit")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _without_environment(value: Any) -> Any:
    """The experiment as it is where every variable is set: whether they are is a matter of the run."""
    if isinstance(value, list):
        return [_without_environment(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "env" and "key" in value:
        return "set when it runs"
    return {key: _without_environment(inner) for key, inner in value.items()}
