"""What a guardian may do, and what the operator must be allowed to do so that it comes to be."""

from __future__ import annotations

from blackstart.fleet.objects import Object
from blackstart.plan.ward import Ward, grants

Need = tuple[str, str, str]
"""Verb, resource, API group."""

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
"""What the operator must be allowed to do in the namespace of every guardian."""

NEEDED_FOR_NODES = (
    *((verb, "clusterroles", "rbac.authorization.k8s.io") for verb in ("create", "get", "list", "delete")),
    *((verb, "clusterrolebindings", "rbac.authorization.k8s.io") for verb in ("create", "get")),
)
"""And in the whole cluster, for a guardian that has nodes."""


def needed(ward: Ward) -> list[Need]:
    """What the operator must be allowed to do in the namespace of a guardian.

    Also whatever the guardian may do: Kubernetes lets nobody grant what he is not allowed himself.
    """
    found = [*NEEDED]
    if ward.slips:
        found.append(("create", "configmaps", ""))
    if ward.shut_in:
        found.append(("create", "networkpolicies", "networking.k8s.io"))
    return list(dict.fromkeys([*found, *_granted(ward, namespaced=True)]))


def needed_for_nodes(ward: Ward) -> list[Need]:
    """What the operator must be allowed to do in the whole cluster; nothing unless the ward has nodes."""
    return list(dict.fromkeys([*NEEDED_FOR_NODES, *_granted(ward, namespaced=False)])) if ward.nodes else []


def _granted(ward: Ward, *, namespaced: bool) -> list[Need]:
    granted = [grant for grant in grants(ward, "") if bool(grant.ref.namespace) is namespaced]
    return [(verb, grant.ref.plural, grant.ref.group) for grant in granted for verb in grant.verbs]


def rules(ward: Ward, run: str, *, namespaced: bool = True) -> list[Object]:
    """The rules of the guardian's Role, or of its ClusterRole: names wherever Kubernetes can restrict to names."""
    named: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for grant in grants(ward, run):
        if bool(grant.ref.namespace) is namespaced:
            kind = (grant.ref.group, grant.ref.plural, grant.verbs)
            named.setdefault(kind, []).extend([grant.ref.name] if grant.ref.name else [])
    return [
        {
            "apiGroups": [group],
            "resources": [plural],
            **({"resourceNames": sorted(names)} if names else {}),
            "verbs": list(verbs),
        }
        for (group, plural, verbs), names in named.items()
    ]
