"""The Kubernetes objects that a guardian is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blackstart.fleet.clusterroles import run_role
from blackstart.fleet.lease import RUN_LABEL, run_lease
from blackstart.fleet.objects import Object, Ref
from blackstart.plan.rights import rules
from blackstart.plan.ward import Ward

LABELS = {"app.kubernetes.io/name": "blackstart-guardian", "app.kubernetes.io/managed-by": "blackstart"}
RBAC = "rbac.authorization.k8s.io/v1"


def cluster_role(ward: Ward, run: str) -> Object:
    """The ClusterRole of a guardian that has nodes. It owns all the others, and nobody owns it."""
    metadata = {"name": run_role(run).name, "labels": {**LABELS, RUN_LABEL: run}}
    return {
        "apiVersion": RBAC,
        "kind": "ClusterRole",
        "metadata": metadata,
        "rules": rules(ward, run, namespaced=False),
    }


def manifests(ward: Ward, owner: Object, run: str, uid: str, image: str) -> list[Object]:
    """Everything else of a guardian, in the order in which to create it; all end with the owner.

    `owner`: a reference to the ClusterRole where there is one, else to the
    Lease; `uid`: the identity of the ward's cluster.
    """
    maker = _Maker(ward, owner, run)
    account = {"kind": "ServiceAccount", "name": maker.name, "namespace": ward.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": maker.name}
    found = [
        maker.made("v1", "ServiceAccount", automountServiceAccountToken=False),
        maker.made(RBAC, "Role", rules=rules(ward, run)),
        maker.made(RBAC, "RoleBinding", roleRef=role, subjects=[account]),
    ]
    if ward.nodes:
        role = {**role, "kind": "ClusterRole"}
        found.append(maker.made(RBAC, "ClusterRoleBinding", roleRef=role, subjects=[account]))
    if ward.shut_in:
        selector = {"matchLabels": {**LABELS, RUN_LABEL: run}}
        spec = {"podSelector": selector, "policyTypes": ["Egress"], "egress": [{}]}
        found.append(maker.made("networking.k8s.io/v1", "NetworkPolicy", spec=spec))
    found += [maker.slip(ref) for ref in ward.slip_refs(run)]
    return [*found, maker.made("batch/v1", "Job", spec=_job(ward, maker.name, run, uid, image))]


@dataclass(frozen=True)
class _Maker:
    """Makes the objects of one guardian."""

    ward: Ward
    owner: Object
    run: str

    @property
    def name(self) -> str:
        """Of all of them."""
        return run_lease("", self.run).name

    def made(self, version: str, kind: str, **content: Any) -> Object:
        """One of them."""
        metadata = self._metadata(self.name, {**LABELS, RUN_LABEL: self.run})
        if kind != "ClusterRoleBinding":
            metadata["namespace"] = self.ward.namespace
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}

    def slip(self, ref: Ref) -> Object:
        """A slip that waits for its record, so that the guardian can give it a new version before that comes late.

        Without the run's label: that is the claim, and comes with the record.
        """
        metadata = {**self._metadata(ref.name, LABELS), "namespace": ref.namespace}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}

    def _metadata(self, name: str, labels: Object) -> Object:
        return {"name": name, "labels": labels, "ownerReferences": [self.owner]}


def _job(ward: Ward, name: str, run: str, uid: str, image: str) -> Object:
    arguments = ["guardian", "--run", run, "--lease", f"{ward.namespace}/{name}", "--uid", uid, *ward.options()]
    labels = {**LABELS, RUN_LABEL: run, "sidecar.istio.io/inject": "false"}
    return {
        # It must outlive evictions and crashes for as long as the Lease is there.
        "backoffLimit": 1000,
        "ttlSecondsAfterFinished": 30,
        "template": {"metadata": {"labels": labels}, "spec": _pod(name, image, arguments)},
    }


def _pod(name: str, image: str, arguments: list[str]) -> Object:
    return {
        "serviceAccountName": name,
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
