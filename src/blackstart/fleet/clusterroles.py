"""The ClusterRole of a run's guardian: what it needs for objects that are in no namespace.

Nothing in a namespace can own an object of the whole cluster. It is the other
way round: the ClusterRole owns all else of its guardian, and whoever ends the
run's Lease there deletes the ClusterRole, too.
"""

from __future__ import annotations

from blackstart.fleet.kube import Kube, KubeError
from blackstart.fleet.lease import run_lease
from blackstart.fleet.objects import Ref

CLUSTER_ROLES = "rbac.authorization.k8s.io/v1/clusterroles"


def run_role(run: str) -> Ref:
    """The ClusterRole of a run in a cluster."""
    return Ref(CLUSTER_ROLES, "", run_lease("", run).name)


def discard(kube: Kube, role: Ref, *, own: bool = False) -> None:
    """Delete it, and with it all that it owns; twice changes nothing. Raises KubeError.

    own: it is what allows the caller to delete it, so one that is gone looks like one that is forbidden.
    """
    try:
        kube.delete(role)
    except KubeError as error:
        if error.status != 404 and not (own and error.status == 403):
            raise
