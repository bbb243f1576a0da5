"""What the users of the fleet's kubeconfigs must be allowed to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from blackstart.fleet.model import Fleet
from blackstart.plan.locks import Home
from blackstart.plan.resolve import Plan
from blackstart.plan.rights import needed as needed_for_guardian
from blackstart.plan.rights import needed_for_nodes
from blackstart.plan.ward import Ward
from blackstart.procedures.choice import namespaces_of

Right = tuple[str, str, str]
"""Verb, resource, API group."""

_ROUTES: list[Right] = [(verb, "virtualservices", "networking.istio.io") for verb in ("get", "patch")]

PERMISSIONS: dict[str, list[Right]] = {
    "scale": [
        ("get", "deployments", "apps"),
        ("patch", "deployments", "apps"),
        ("list", "pods", ""),
        ("list", "horizontalpodautoscalers", "autoscaling"),
    ],
    "delete_pods": [("get", "deployments", "apps"), ("list", "pods", ""), ("delete", "pods", "")],
    **dict.fromkeys(("mesh_abort", "mesh_delay", "drain_subset"), _ROUTES),
    "kill": [("get", "deployments", "apps"), ("list", "pods", "")],
    "blackhole_endpoints": [("get", "deployments", "apps"), ("list", "pods", "")],
}
"""Activity -> what it must be allowed to do. All read the namespace kube-system, too."""

_GUARDIAN = "to start the guardian, and to grant what it may do"
"""Kubernetes lets nobody grant what they do not have."""

_IDENTITY: Right = ("get", "namespaces", "")
_COUNT: tuple[Right, ...] = (("get", "deployments", "apps"), ("list", "deployments", "apps"), ("list", "pods", ""))
_LOCK: tuple[Right, ...] = tuple(
    (verb, "leases", "coordination.k8s.io") for verb in ("create", "get", "patch", "delete")
)
_TELL: tuple[Right, ...] = (("get", "configmaps", ""), ("patch", "configmaps", ""))
_NAMESPACES: tuple[Right, ...] = tuple((verb, "namespaces", "") for verb in ("create", "get", "delete"))
_RESTORE: tuple[Right, ...] = (
    *((verb, "backups", "velero.io") for verb in ("get", "list", "create")),
    *((verb, "restores", "velero.io") for verb in ("get", "create", "patch", "delete")),
    *((verb, "configmaps", "") for verb in ("get", "create", "patch", "delete")),
)
_PROVE: tuple[Right, ...] = (
    *(("list", plural, "") for plural in ("configmaps", "secrets", "services", "serviceaccounts", "pods")),
    ("list", "deployments", "apps"),
    ("get", "deployments", "apps"),
)
"""And to list every other kind that the backup has."""


@dataclass(frozen=True)
class Needed:
    """What the user of one cluster's kubeconfig must be allowed to do in a namespace, and what for."""

    cluster: str
    namespace: str
    what_for: str
    rights: tuple[Right, ...]


def operator_needs(plan: Plan, guarded: Sequence[Ward], where: Sequence[Home]) -> list[Needed]:
    """Everything: to know the clusters, to lock, to count, to break, to start guardians."""
    return [
        *(Needed(name, "kube-system", "to know the cluster", (_IDENTITY,)) for name in _clusters(plan.fleet, where)),
        *(Needed(home.name, home.namespace, "to lock the regions", _LOCK) for home in where),
        *_for_services(plan),
        *procedure_needs(plan),
        *restore_needs(plan),
        *_for_guardians(guarded),
    ]


def needed(method: Iterable[Mapping[str, object]], fleet: Fleet, region: str) -> list[Right]:
    """What blackstart's own activities in the method must be allowed to do in a region."""
    found: dict[Right, None] = {}
    for activity in method:
        provider = activity.get("provider")
        if not isinstance(provider, Mapping) or not str(provider.get("module", "")).startswith("blackstart."):
            continue
        role = (provider.get("arguments") or {}).get("region")
        if role is None or fleet.roles.get(role, role) == region:
            found.update(dict.fromkeys(PERMISSIONS.get(str(provider.get("func")), [])))
    return list(found)


def procedure_needs(plan: Plan) -> list[Needed]:
    """What steps of a procedure need to tell clients where a store's primary is, in every member's cluster."""
    steps = [*plan.drill.procedure, *plan.drill.failback_procedure]
    names = dict.fromkeys(plan.fleet.resolve(step.on[0]) for step in steps if step.on)
    stores = {name: plan.fleet.stores[name] for name in names}
    found: dict[tuple[str, str], list[str]] = {}
    for name, store in stores.items():
        for region in store.members if store.clients else ():
            found.setdefault((region, store.clients.namespace if store.clients else ""), []).append(name)
    return [
        Needed(region, namespace, f"to tell the clients of {', '.join(told)} where to go", _TELL)
        for (region, namespace), told in found.items()
    ]


def restore_needs(plan: Plan) -> Iterator[Needed]:
    """What steps `restore` need in the region that they restore into."""
    fleet = plan.fleet
    for step in plan.drill.procedure:
        if step.restore is None:
            continue
        source, target = (fleet.roles.get(role, role) for role in (step.restore.source, step.restore.target))
        if (velero := fleet.regions[target].velero) is None:
            continue
        what = f"to restore ({step.name})"
        yield Needed(target, "", what, _NAMESPACES)
        yield Needed(target, velero.namespace, what, _RESTORE)
        for name in namespaces_of(fleet, step.restore, source).values():
            yield Needed(target, name, f"to prove what is restored ({step.name})", _PROVE)


def _clusters(fleet: Fleet, where: Sequence[Home]) -> list[str]:
    return list(dict.fromkeys([*fleet.regions, *(home.name for home in where)]))


def _for_guardians(guarded: Iterable[Ward]) -> Iterator[Needed]:
    for ward in guarded:
        yield Needed(ward.region, ward.namespace, _GUARDIAN, tuple(needed_for_guardian(ward)))
        if ward.nodes:
            yield Needed(ward.region, "", _GUARDIAN, tuple(needed_for_nodes(ward)))


def _for_services(plan: Plan) -> Iterator[Needed]:
    for service in dict.fromkeys(plan.services.values()):
        for region, workload in plan.fleet.services[service].workloads.items():
            yield Needed(region, workload.namespace, f"to count the pods of {service}", _COUNT)
            if rights := needed(plan.experiment.get("method") or [], plan.fleet, region):
                yield Needed(region, workload.namespace, f"to break {service}", tuple(rights))
