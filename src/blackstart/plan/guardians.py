"""Which guardians a plan needs, and the Kubernetes objects that each of them is made of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blackstart.faults import foreign
from blackstart.faults.base import Fault, FaultError, fault_of
from blackstart.fleet.environment import context_variables
from blackstart.fleet.lease import RUN_LABEL, Lease
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object, Ref

LABELS = {"app.kubernetes.io/name": "blackstart-guardian", "app.kubernetes.io/managed-by": "blackstart"}
NEEDED = (
    ("create", "leases", "coordination.k8s.io"),
    ("get", "leases", "coordination.k8s.io"),
    ("patch", "leases", "coordination.k8s.io"),
    ("delete", "leases", "coordination.k8s.io"),
    ("create", "serviceaccounts", ""),
    ("create", "roles", "rbac.authorization.k8s.io"),
    ("create", "rolebindings", "rbac.authorization.k8s.io"),
    ("create", "jobs", "batch"),
    ("list", "pods", ""),
    ("list", "events", ""),
)
"""What the operator must be allowed to do in the namespace of a guardian: verb, resource, API group."""

_RBAC = "rbac.authorization.k8s.io/v1"
_FAULTS = "blackstart.activities.faults"


@dataclass(frozen=True)
class Ward:
    """What one guardian looks after: the objects of one namespace that faults of a plan change."""

    region: str
    namespace: str
    targets: tuple[Ref, ...]

    def __str__(self) -> str:
        return f"{self.region}/{self.namespace}"


def wards(experiment: Mapping[str, Any], fleet: Fleet) -> list[Ward]:
    """One for each namespace of each cluster in which the experiment changes objects. Raises FaultError."""
    found: dict[tuple[str, str], dict[Ref, None]] = {}
    for activity in experiment.get("method") or []:
        for region, *ref in _changes(activity, experiment, fleet):
            found.setdefault((region, ref[1]), {})[Ref(*ref)] = None
    return [Ward(region, namespace, tuple(refs)) for (region, namespace), refs in sorted(found.items())]


def fault_in(
    activity: Mapping[str, Any], experiment: Mapping[str, Any], fleet: Fleet
) -> tuple[Fault, dict[str, Any]] | None:
    """The fault that an activity is, with its arguments; None where nothing is put back. Raises FaultError."""
    provider = activity.get("provider") or {}
    arguments = provider.get("arguments") or {}
    if provider.get("module") == _FAULTS and provider.get("func") != "undo":
        return fault_of(str(provider.get("func")).replace("_", "-")), arguments
    if foreign.accepted(activity) or not (known := foreign.known(provider)):
        return None
    told = {**arguments, **known.fixed, "run": "", "region": _region(provider, experiment, fleet)}
    return fault_of(known.kind), told


def _changes(activity: Mapping[str, Any], experiment: Mapping[str, Any], fleet: Fleet) -> set[tuple[str, ...]]:
    """Region, resource, namespace and name of the objects for which an activity needs a guardian."""
    found = fault_in(activity, experiment, fleet)
    if found is None or not getattr(found[0], "guarded", True):
        return set()
    fault, arguments = found
    return {thing for target in fault.targets(fleet, arguments) for thing in foreign.about(target.data)}


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


def rules(ward: Ward, lease: str) -> list[Object]:
    """All that the guardian may do: its own Lease, Events, and the very objects that the plan names."""
    found = [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": [lease],
            "verbs": ["get", "patch", "delete"],
        },
        # Kubernetes cannot restrict `create` to names.
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
    ]
    kinds: dict[tuple[str, str], list[str]] = {}
    for ref in ward.targets:
        kinds.setdefault((ref.group, ref.plural), []).append(ref.name)
    for (group, plural), names in sorted(kinds.items()):
        verbs = ["get", "patch"]
        found.append({"apiGroups": [group], "resources": [plural], "resourceNames": sorted(names), "verbs": verbs})
    return found


def manifests(ward: Ward, lease: Lease, run: str, uid: str, image: str) -> list[Object]:
    """ServiceAccount, Role, RoleBinding and Job, in the order in which to create them; all end with the Lease.

    `uid` is the identity of the ward's cluster.
    """
    name = lease.ref.name
    account = {"kind": "ServiceAccount", "name": name, "namespace": ward.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}

    def made(version: str, kind: str, **content: Any) -> Object:
        return {"apiVersion": version, "kind": kind, "metadata": _metadata(lease, run), **content}

    return [
        made("v1", "ServiceAccount", automountServiceAccountToken=False),
        made(_RBAC, "Role", rules=rules(ward, name)),
        made(_RBAC, "RoleBinding", roleRef=role, subjects=[account]),
        made("batch/v1", "Job", spec=_job(ward, lease, run, uid, image)),
    ]


def _metadata(lease: Lease, run: str) -> Object:
    owner = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": lease.ref.name, "uid": lease.uid}
    return {
        "name": lease.ref.name,
        "namespace": lease.ref.namespace,
        "labels": {**LABELS, RUN_LABEL: run},
        "ownerReferences": [owner],
    }


def _job(ward: Ward, lease: Lease, run: str, uid: str, image: str) -> Object:
    arguments = ["guardian", "--run", run, "--lease", f"{ward.namespace}/{lease.ref.name}"]
    arguments += ["--region", ward.region, "--uid", uid]
    for ref in ward.targets:
        arguments += ["--target", f"{ref.resource}/{ref.name}"]
    labels = {**LABELS, RUN_LABEL: run, "sidecar.istio.io/inject": "false"}
    return {
        # It must outlive evictions and crashes for as long as the Lease is there.
        "backoffLimit": 1000,
        "ttlSecondsAfterFinished": 30,
        "template": {"metadata": {"labels": labels}, "spec": _pod(lease, image, arguments)},
    }


def _pod(lease: Lease, image: str, arguments: list[str]) -> Object:
    return {
        "serviceAccountName": lease.ref.name,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 2,
        "tolerations": _tolerations(),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "guardian",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "args": arguments,
                "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "resources": {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "192Mi"}},
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - of the pod, its own
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}}],
    }


def _tolerations() -> list[Object]:
    """It may run on a cordoned node, and leaves a lost one quickly."""
    lost = [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
        for key in ("not-ready", "unreachable")
    ]
    return [{"operator": "Exists", "effect": "NoSchedule"}, *lost]
