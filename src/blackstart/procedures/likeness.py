"""Whether an object in a cluster is the one of a backup, but for what Kubernetes and Velero change. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from blackstart.fleet.lease import RUN_LABEL
from blackstart.fleet.objects import Object

_META = {"name", "labels", "annotations", "finalizers"}
_LABELS = {RUN_LABEL, "velero.io/backup-name", "velero.io/restore-name"}
_ANNOTATIONS = (
    "velero.io/",
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "pv.kubernetes.io/",
    "volume.kubernetes.io/",
    "volume.beta.kubernetes.io/",
)
_SERVICE = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort")
_JOB_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name")


def differences(kept: Object, found: Object, namespaces: Mapping[str, str], kind: str) -> list[str]:
    """The fields in which an object is not the one of the backup; paths only, for values may be secret.

    `kind`: Velero's word for it; `namespaces`: what those of the backup are called now.
    """
    return list(_unlike(normal(kept, kind, namespaces), normal(found, kind, {}), ""))


def normal(found: Object, kind: str, namespaces: Mapping[str, str]) -> Any:
    """What has to be the same of an object: without what a cluster gives it, empty values left out."""
    content: Object = json.loads(json.dumps({k: v for k, v in found.items() if k not in ("status", "kind")}))
    meta = {key: value for key, value in content["metadata"].items() if key in _META}
    meta["labels"] = {k: v for k, v in (meta.get("labels") or {}).items() if k not in _LABELS}
    meta["annotations"] = {
        key: value for key, value in (meta.get("annotations") or {}).items() if not key.startswith(_ANNOTATIONS)
    }
    content["metadata"] = meta
    content.pop("apiVersion", None)  # It is asked for under that of the backup.
    if special := _SPECIAL.get(kind):
        special(content, namespaces)
    return _full(content)


def images(template: Object) -> dict[str, str]:
    """Container -> image of a pod, or of the template of one."""
    spec = template.get("spec") or {}
    each = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    return {str(container.get("name")): str(container.get("image")) for container in each}


def _service(content: Object, namespaces: Mapping[str, str]) -> None:
    """Addresses are the cluster's own; a service that has none on purpose must have none again."""
    spec = content.get("spec") or {}
    headless = spec.get("clusterIP") == "None"
    for key in _SERVICE:
        spec.pop(key, None)
    for port in spec.get("ports") or []:
        port.pop("nodePort", None)
    if headless:
        spec["clusterIP"] = "None"


def _secret(content: Object, namespaces: Mapping[str, str]) -> None:
    """Only a digest is ever compared, so none of it can get anywhere."""
    data = json.dumps(content.pop("data", None) or {}, sort_keys=True)
    content["data"] = hashlib.sha256(data.encode()).hexdigest()


def _account(content: Object, namespaces: Mapping[str, str]) -> None:
    """The tokens of old are another cluster's."""
    content.pop("secrets", None)


def _claim(content: Object, namespaces: Mapping[str, str]) -> None:
    """Which volume it got is the cluster's choice."""
    (content.get("spec") or {}).pop("volumeName", None)


def _job(content: Object, namespaces: Mapping[str, str]) -> None:
    """Its selector is made of its UID."""
    spec = content.get("spec") or {}
    spec.pop("selector", None)
    for meta in (content["metadata"], (spec.get("template") or {}).get("metadata") or {}):
        for label in _JOB_LABELS:
            (meta.get("labels") or {}).pop(label, None)


def _binding(content: Object, namespaces: Mapping[str, str]) -> None:
    """Velero moves the accounts of a namespace with it."""
    for subject in content.get("subjects") or []:
        if subject.get("namespace") in namespaces:
            subject["namespace"] = namespaces[subject["namespace"]]


def _pod(content: Object, namespaces: Mapping[str, str]) -> None:
    """Much of a pod is where it runs."""
    content["spec"] = {"images": images(content)}


_SPECIAL: dict[str, Callable[[Object, Mapping[str, str]], None]] = {
    "services": _service,
    "secrets": _secret,
    "serviceaccounts": _account,
    "persistentvolumeclaims": _claim,
    "jobs.batch": _job,
    "rolebindings.rbac.authorization.k8s.io": _binding,
    "pods": _pod,
}


def _full(value: Any) -> Any:
    """Without empty values: absent and empty are the same to Kubernetes."""
    if isinstance(value, dict):
        pairs = {key: _full(inner) for key, inner in value.items()}
        return {key: inner for key, inner in pairs.items() if inner not in (None, {}, [], "")}
    return [_full(inner) for inner in value] if isinstance(value, list) else value


def _unlike(kept: Any, found: Any, path: str) -> Iterator[str]:
    if isinstance(kept, dict) and isinstance(found, dict):
        for key in sorted({*kept, *found}):
            yield from _unlike(kept.get(key), found.get(key), f"{path}.{key}" if path else key)
    elif isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        for number, (one, other) in enumerate(zip(kept, found, strict=True)):
            yield from _unlike(one, other, f"{path}[{number}]")
    elif type(kept) is not type(found) or kept != found:
        yield path
