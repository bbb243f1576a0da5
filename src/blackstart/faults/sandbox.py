"""Makes a copy of a service's namespace, beside it, for a drill to lose. It is taken away when the run ends.

The slip is in Velero's namespace where there is one, so that one guardian looks after all that the run makes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from blackstart.evidence.undo import Undo
from blackstart.faults import marks, roles
from blackstart.faults.base import FaultError, Target
from blackstart.faults.clusters import open_kube
from blackstart.faults.restored import NAMESPACES, RestoredData, RestoredNamespaces, made
from blackstart.faults.wait import NotYet, wait_for
from blackstart.faults.workloads import DEPLOYMENTS, STATEFULSETS, settled
from blackstart.fleet.kube import Kube
from blackstart.fleet.model import Fleet
from blackstart.fleet.objects import Object, Ref

SUFFIX = "-sandbox"

_RBAC = "rbac.authorization.k8s.io/v1"
COPIED = (
    *("v1/configmaps", "v1/secrets", "v1/serviceaccounts", f"{_RBAC}/roles", f"{_RBAC}/rolebindings"),
    *("v1/services", "policy/v1/poddisruptionbudgets", STATEFULSETS, DEPLOYMENTS),
)
"""What is copied, in this order; volumes and what talks to the world outside are not."""

_OWN = (("v1/configmaps", "kube-root-ca.crt"), ("v1/serviceaccounts", "default"))
_NOT = ("kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision")


class Sandbox(RestoredNamespaces):
    """A copy of a namespace."""

    kind = "sandbox"
    immediate = True

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """`service` and `region` by role: the namespace of its workload there."""
        region, name = roles.region(fleet, args["region"]), roles.service(fleet, args["service"])
        source = roles.workload(fleet, name, region).namespace
        velero = fleet.regions[region].velero
        data = RestoredData(
            region=region,
            run="",
            namespace=velero.namespace if velero else source,
            names=[f"{source}{SUFFIX}"],
            restores=False,
            source=source,
        )
        return [Target(f"{region}/{data.names[0]}", data.model_dump(), (region,))]

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """That it is not there."""
        data = RestoredData.model_validate(target.data)
        with open_kube(fleet, data.region) as kube:
            if kube.find(ref := Ref(NAMESPACES, "", data.names[0])) is not None:
                raise FaultError(f"{self.kind}: {ref} is there already; remove it, or `blackstart recover`")
        return {}

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """The namespace with the run's label first, then its objects."""
        data = RestoredData.model_validate(undo.data)
        name = data.names[0]
        with open_kube(fleet, data.region) as kube:
            marks.leave_slip(kube, undo, data.namespace, fence)
            labels = kube.get(Ref(NAMESPACES, "", data.source))["metadata"].get("labels")
            fence()
            kube.create(Ref(NAMESPACES, "", name), made(name, undo.run, labels))
            for resource in COPIED:
                for found in kube.select(resource, data.source):
                    if _worth_it(resource, found):
                        fence()
                        twin = copied(resource, found, name)
                        kube.create(Ref(resource, name, twin["metadata"]["name"]), twin)

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """Its workloads are complete."""
        data = RestoredData.model_validate(undo.data)

        def look() -> str:
            with open_kube(fleet, data.region) as kube:
                if left := _unsettled(kube, data.names[0]):
                    raise NotYet(f"{left} is not complete")
            return f"namespace {data.names[0]} is a copy of {data.source}"

        return wait_for(f"{undo.kind} {undo.target}", within, look)


def copied(resource: str, found: Object, namespace: str) -> Object:
    """An object for another namespace: without what the cluster gave it."""
    meta = found["metadata"]
    twin: Object = {key: copy.deepcopy(value) for key, value in found.items() if key not in ("metadata", "status")}
    version, _, _ = resource.rpartition("/")
    kept = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in _NOT}
    labels = {k: v for k, v in (meta.get("labels") or {}).items() if k != marks.LABEL}
    twin["metadata"] = {"name": meta["name"], "namespace": namespace, "labels": labels, "annotations": kept}
    twin |= {"apiVersion": version, "kind": _KINDS[resource]}
    spec = twin.get("spec") or {}
    if resource == "v1/services":
        for key in ("clusterIP", "clusterIPs", "healthCheckNodePort", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(key) != "None":
                spec.pop(key, None)
        for port in spec.get("ports") or []:
            port.pop("nodePort", None)
    twin.pop("secrets", None)
    for subject in twin.get("subjects") or []:
        if subject.get("namespace") == meta.get("namespace"):
            subject["namespace"] = namespace
    return twin


_KINDS = {
    "v1/configmaps": "ConfigMap",
    "v1/secrets": "Secret",
    "v1/serviceaccounts": "ServiceAccount",
    f"{_RBAC}/roles": "Role",
    f"{_RBAC}/rolebindings": "RoleBinding",
    "v1/services": "Service",
    "policy/v1/poddisruptionbudgets": "PodDisruptionBudget",
    STATEFULSETS: "StatefulSet",
    DEPLOYMENTS: "Deployment",
}


def _worth_it(resource: str, found: Object) -> bool:
    """Neither the cluster's own, nor made by a controller, nor a guardian's or its slip."""
    meta = found["metadata"]
    token = found.get("type") == "kubernetes.io/service-account-token"
    ours = (meta.get("labels") or {}).get("app.kubernetes.io/managed-by") == "blackstart" or marks.run_of(found)
    return (resource, meta["name"]) not in _OWN and not (token or ours or meta.get("ownerReferences"))


def _unsettled(kube: Kube, namespace: str) -> str:
    for resource in (DEPLOYMENTS, STATEFULSETS):
        for found in kube.select(resource, namespace):
            if not settled(resource, found):
                return str(Ref(resource, namespace, found["metadata"]["name"]))
    return ""


FAULT = Sandbox()
