"""Puts back what actions of other extensions change. A control of Chaos Toolkit:

    controls:
      - name: blackstart
        provider: {type: python, module: blackstart.activities.control}

and always on in `blackstart run`. Each action that can be put back is made
through `guarded`: capture, record on disk, label on the object, and only then
the action. Whatever fails before that, the action does not run.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable
from typing import Any

from chaoslib.exceptions import ActivityFailed, ChaosException, InterruptExecution
from chaoslib.types import Configuration, Secrets

from blackstart.activities.faults import undo
from blackstart.activities.session import context, fleet_of
from blackstart.evidence.records import FaultState
from blackstart.evidence.undo import Entry
from blackstart.faults import foreign
from blackstart.faults.base import FaultError
from blackstart.faults.contexts import unnamed_contexts
from blackstart.faults.foreign_base import Foreign
from blackstart.faults.inject import Context, inject, restore, still_there
from blackstart.fleet.kube import TIMEOUT
from blackstart.fleet.model import Fleet
from blackstart.schema.errors import BlackstartError

_LOG = logging.getLogger("chaostoolkit")


def before_experiment_control(context: dict[str, Any], configuration: Configuration = None, **_: Any) -> None:
    """Guard the experiment in place, or end it: Chaos Toolkit forgets any other error of a control."""
    try:
        if problems := [*unnamed_contexts(context), *foreign.refused(context)]:
            raise FaultError("; ".join(problems))
        fleet_of(configuration)
        foreign.guard(context)
    except Exception as error:
        raise InterruptExecution(f"blackstart cannot guard this experiment: {error}") from error


def after_experiment_control(configuration: Configuration = None, **_: Any) -> None:
    """Put back whatever of this run is still outstanding."""
    try:
        undo(configuration)
    except ActivityFailed as error:
        _LOG.error(str(error))


def guarded(
    provider: dict[str, Any], section: str, configuration: Configuration = None, secrets: Secrets = None
) -> Any:
    """Run an action of another extension so that it can be put back; returns what the action returns.

    In the rollbacks, an action on something that this run holds a record of is
    not run: the record knows what was there before, the experiment does not.
    """
    known = foreign.known(provider)
    try:
        if known is None:
            raise FaultError(f"{provider.get('module')}.{provider.get('func')}: nobody knows how to put this back")
        fleet, here = fleet_of(configuration), context()
        region = region_of(fleet, secrets or {})
        fault = foreign.around(known, _call(provider, configuration, secrets))
        args = {**(provider.get("arguments") or {}), **known.fixed, "region": region, "run": here.run}
        if section == "rollbacks":
            return _roll_back(fault, fleet, args, here)
        inject(fault, fleet, args, here)
        return fault.output
    except BlackstartError as error:
        raise ActivityFailed(str(error)) from error


def region_of(fleet: Fleet, secrets: dict[str, Any]) -> str:
    """The region whose pinned cluster answers where the action would go. Raises FaultError."""
    name = secrets.get("KUBERNETES_CONTEXT")
    if not name:
        raise FaultError("the action names no KUBERNETES_CONTEXT: it would use the current one; give it `secrets`")
    # The action's own way to a client: whatever it would reach is what is asked.
    from chaosk8s import create_k8s_api_client
    from kubernetes import client

    try:
        core = client.CoreV1Api(create_k8s_api_client(secrets))
        system: Any = core.read_namespace("kube-system", _request_timeout=TIMEOUT)
        uid = system.metadata.uid
    except Exception as error:
        raise FaultError(f"the cluster of context {name!r} cannot be identified: {error}") from error
    for region, described in fleet.regions.items():
        if described.cluster.uid == uid:
            return region
    raise FaultError(
        f"the context {name!r} leads to a cluster (kube-system has UID {uid}) that {fleet.source or fleet.fleet} "
        "does not pin; nothing was changed; set KUBECONFIG with `eval $(blackstart env)`"
    )


def _call(provider: dict[str, Any], configuration: Any, secrets: Any) -> Callable[[], Any]:
    """The action, as Chaos Toolkit would call it; its arguments are substituted by now."""

    def call() -> Any:
        function = getattr(importlib.import_module(provider["module"]), provider["func"])
        wanted = inspect.signature(function).parameters
        given = {"secrets": secrets, "configuration": configuration}
        arguments = {**(provider.get("arguments") or {}), **{k: v for k, v in given.items() if k in wanted}}
        try:
            return function(**arguments)
        except InterruptExecution:
            raise
        except Exception as error:
            name = f"{provider['module']}.{provider['func']}"
            text = str(error) if isinstance(error, ChaosException) else f"{type(error).__name__}: {error}"
            raise FaultError(f"{name} failed: {text}") from error

    return call


def _roll_back(fault: Foreign, fleet: Fleet, args: dict[str, Any], here: Context) -> Any:
    held = _held(fault, fleet, args, here)
    if not held:
        return fault.call()
    still_there(held, fleet, here)
    for entry in held:
        if restore(entry, fleet, here) is FaultState.CONFLICT:
            raise FaultError(f"{entry.undo.id}: someone else changed it since; see `blackstart recover --dry-run`")
    return f"put back as it was before: {', '.join(entry.undo.fault for entry in held)}"


def _held(fault: Foreign, fleet: Fleet, args: dict[str, Any], here: Context) -> list[Entry]:
    """The outstanding faults of this run on the objects that an action is about, newest first."""
    outstanding = here.store.read(here.run).outstanding
    try:
        about = {thing for target in fault.targets(fleet, args) for thing in foreign.about(target.data)}
    except FaultError:
        return []  # Nothing there to act on: the action may say so itself.
    return [entry for entry in outstanding if about & foreign.about(entry.undo.data)]
