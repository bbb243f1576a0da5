"""Actions of other extensions: which of them can be put back, and how an experiment is made to see to it.

`guard` puts `blackstart.activities.control.guarded` in the place of every such
action. What stands in the experiment then is the guard, so an action can not
run without it, whatever becomes of Chaos Toolkit's controls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blackstart.faults.base import FaultError, fault_of
from blackstart.faults.foreign_base import Foreign
from blackstart.faults.foreign_cordon import NODES
from blackstart.faults.foreign_create import NETWORK_POLICIES
from blackstart.faults.foreign_delete import INGRESSES, SERVICES
from blackstart.faults.workloads import DAEMONSETS, DEPLOYMENTS, STATEFULSETS
from blackstart.fleet.objects import CLUSTERED

MODULE, FUNC = "blackstart.activities.control", "guarded"

_DENY_IN, _DENY_OUT, _DNS = (
    "chaostoolkit-deny-all-ingress",
    "chaostoolkit-deny-all-egress",
    "chaostoolkit-allow-dns",
)


@dataclass(frozen=True)
class Known:
    """An action that can be put back: by which kind of fault, and what is fixed about it."""

    kind: str
    fixed: Mapping[str, Any] = field(default_factory=dict)


def _deletes(resource: str, **fixed: Any) -> Known:
    return Known("foreign-delete", {"resource": resource, **fixed})


KNOWN: Mapping[str, Known] = {
    "actions.remove_service_endpoint": _deletes(SERVICES),
    "actions.scale_microservice": Known("foreign-scale", {"resource": DEPLOYMENTS}),
    "daemonset.actions.delete_daemon_set": _deletes(DAEMONSETS),
    "deployment.actions.delete_deployment": _deletes(DEPLOYMENTS),
    "deployment.actions.scale_deployment": Known("foreign-scale", {"resource": DEPLOYMENTS}),
    "networking.actions.allow_dns_access": Known("foreign-create", {"policy": _DNS}),
    "networking.actions.create_network_policy": Known("foreign-create"),
    "networking.actions.delete_ingress": _deletes(INGRESSES),
    "networking.actions.deny_all_egress": Known("foreign-create", {"policy": _DENY_OUT}),
    "networking.actions.deny_all_ingress": Known("foreign-create", {"policy": _DENY_IN}),
    "networking.actions.remove_allow_dns_access": _deletes(NETWORK_POLICIES, name=_DNS),
    "networking.actions.remove_deny_all_egress": _deletes(NETWORK_POLICIES, name=_DENY_OUT),
    "networking.actions.remove_deny_all_ingress": _deletes(NETWORK_POLICIES, name=_DENY_IN),
    "networking.actions.remove_network_policy": _deletes(NETWORK_POLICIES),
    "node.actions.cordon_node": Known("foreign-cordon", {"value": True}),
    "node.actions.drain_nodes": Known("foreign-cordon", {"value": True}),
    "node.actions.uncordon_node": Known("foreign-cordon", {"value": False}),
    "pod.actions.delete_pods": Known("foreign-pods"),
    "pod.actions.terminate_pods": Known("foreign-pods"),
    "service.actions.delete_service": _deletes(SERVICES),
    "statefulset.actions.remove_statefulset": _deletes(STATEFULSETS),
    "statefulset.actions.scale_statefulset": Known("foreign-scale", {"resource": STATEFULSETS}),
}
"""Below `chaosk8s.`, by module and function."""

VIRTUAL_SERVICES = "networking.istio.io/v1/virtualservices"
SWEPT = (DEPLOYMENTS, STATEFULSETS, NODES, "v1/namespaces", "v1/configmaps", VIRTUAL_SERVICES)
"""The kinds of objects that can carry a run's label and undo record."""


def known(provider: Mapping[str, Any]) -> Known | None:
    """How to put back what a provider does; None when nobody knows."""
    if provider.get("type") != "python":
        return None
    return KNOWN.get(f"{provider.get('module')}.{provider.get('func')}".removeprefix("chaosk8s."))


def is_foreign(activity: Mapping[str, Any]) -> bool:
    """Whether an activity changes something by code that is not blackstart's."""
    module = str((activity.get("provider") or {}).get("module", ""))
    return activity.get("type") == "action" and module.partition(".")[0] != "blackstart"


def accepted(activity: Mapping[str, Any]) -> bool:
    """Whether it says that nothing has to be put back, and why."""
    return activity.get("undo") == "none" and bool(str(activity.get("reason") or "").strip())


def problem(activity: Mapping[str, Any]) -> str | None:
    """Why an action of the method may not run; None when it may."""
    if not is_foreign(activity) or accepted(activity) or known(activity.get("provider") or {}):
        return None
    if activity.get("undo") == "none":
        return "says `undo: none` without a `reason`"
    return "nobody knows how to put this back"


def refused(experiment: Mapping[str, Any]) -> list[str]:
    """What is wrong with the actions of an experiment's method, a line each."""
    return [
        f"action {activity.get('name', '?')!r} {why}; write `undo: none` and a `reason` beside it, or use another one"
        for activity in experiment.get("method") or []
        if (why := problem(activity))
    ]


def guard(experiment: Mapping[str, Any]) -> None:
    """See to it, in place, that every action that can be put back is made through the guard; twice is once."""
    for section in ("method", "rollbacks"):
        for activity in experiment.get(section) or []:
            provider = activity.get("provider") or {}
            if is_foreign(activity) and not accepted(activity) and known(provider):
                activity["provider"] = {
                    "type": "python",
                    "module": MODULE,
                    "func": FUNC,
                    "arguments": {"provider": provider, "section": section},
                    **({"secrets": provider["secrets"]} if "secrets" in provider else {}),
                }


def around(known: Known, call: Callable[[], Any]) -> Foreign:
    """The fault that a known action is. Raises FaultError."""
    made = fault_of(known.kind)
    if not isinstance(made, Foreign):
        raise FaultError(f"{known.kind} is no fault around an action")
    return type(made)(call)


def about(data: Mapping[str, Any]) -> set[tuple[str, ...]]:
    """The objects that a target's data is about: region, resource, namespace, name of each."""
    resource = data.get("resource", DEPLOYMENTS)
    namespace = "" if resource in CLUSTERED else data.get("namespace", "")
    names = data.get("names") or [data[key] for key in ("name", "deployment") if key in data]
    return {(str(data.get("region")), resource, namespace, name) for name in names}
