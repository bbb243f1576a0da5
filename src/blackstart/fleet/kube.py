"""A thin client for one named cluster: the few calls that faults need, each with a deadline.

The cluster is always the one that fleet.yaml names; the current context of a
kubeconfig is never used. Nothing is retried: the caller decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from blackstart.fleet.errors import FleetError
from blackstart.fleet.incluster import InCluster
from blackstart.fleet.model import Cluster
from blackstart.fleet.objects import Object, Ref

TIMEOUT = (2, 5)
"""Seconds to connect and to read; a black-holed API server costs no more."""

DEPLOYMENTS = "apps/v1/deployments"
PODS = "v1/pods"

_MERGE_PATCH = "application/merge-patch+json"


class KubeError(FleetError):
    """A call failed. `status` is the HTTP status, None when there was no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class WrongCluster(KubeError):  # noqa: N818 - a finding, not a mistake of the program
    """The cluster that answers is not the one that fleet.yaml pins."""


@dataclass(frozen=True)
class Deployment:
    """What a fault needs to know of a Deployment."""

    namespace: str
    name: str
    uid: str
    replicas: int
    labels: dict[str, str]
    annotations: dict[str, str]
    selector: dict[str, str]
    settled: bool
    """The controller has seen the current spec, and every replica is updated and available."""
    existing: int
    """Pods that the controller counts at present, ready or not."""


@dataclass(frozen=True)
class Pod:
    """What a fault needs to know of a pod. `port` and `path` are where its readiness is asked, when it is by HTTP."""

    name: str
    uid: str
    ip: str
    ready: bool
    containers: frozenset[str]
    """Container ids: the API shows old Ready pods until a restarted kubelet reports."""
    port: int | None
    path: str


class Kube:
    """The API of one cluster. Use it in a `with` block; every method raises KubeError."""

    def __init__(self, cluster: Cluster) -> None:
        # Half a second at best; most commands never talk to a cluster. Of the client only the connection is used:
        # its models of every kind of object cost 100 MB and seconds.
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException

        self._client, self._cluster = client, cluster
        settings = client.Configuration()
        settings.retries = False
        try:
            self._api = config.new_client_from_config(  # type: ignore[no-untyped-call]  # the client has no types
                config_file=str(cluster.kubeconfig),
                context=cluster.context,
                client_configuration=settings,
                persist_config=False,
            )
        except (ConfigException, OSError, ValueError, TypeError) as error:
            raise KubeError(
                f"cluster {cluster.context!r}: cannot use {cluster.kubeconfig}: {error}; "
                "correct `kubeconfig` and `context` in fleet.yaml"
            ) from error

    def __enter__(self) -> Kube:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.rest_client.pool_manager.clear()

    def verify_identity(self) -> None:
        """Raise WrongCluster unless the UID of kube-system is the pinned one."""
        if isinstance(self._cluster, InCluster):
            return
        path = "/api/v1/namespaces/kube-system"
        found = str(self._request("get", "namespace kube-system", "GET", path)["metadata"]["uid"])
        if found != self._cluster.uid:
            raise WrongCluster(
                f"cluster {self._cluster.context!r}: {self._cluster.kubeconfig} leads to another cluster "
                f"(kube-system has UID {found}, fleet.yaml pins {self._cluster.uid}); nothing was changed; "
                "correct the kubeconfig, or the `uid` in fleet.yaml if the cluster was made anew"
            )

    def deployment(self, namespace: str, name: str) -> Deployment:
        """Read one Deployment."""
        return _deployment(self.get(Ref(DEPLOYMENTS, namespace, name)))

    def pods(self, namespace: str, selector: dict[str, str]) -> list[Pod]:
        """The pods that carry the labels and are not being deleted."""
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        found = self.select(PODS, namespace, labels)
        return [_pod(item) for item in found if "deletionTimestamp" not in item["metadata"]]

    def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete exactly this pod, at once; one that is gone, or replaced by another of its name, is left alone."""
        ref, body = Ref(PODS, namespace, name), {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        try:
            self._request("delete", str(ref), "DELETE", ref.path, body)
        except KubeError as error:
            if error.status not in (404, 409):
                raise

    def autoscalers(self, namespace: str, deployment: str) -> list[str]:
        """Names of the HorizontalPodAutoscalers that own the replica count of a Deployment."""
        found = self.select("autoscaling/v2/horizontalpodautoscalers", namespace)
        targets = [(item["metadata"]["name"], item["spec"]["scaleTargetRef"]) for item in found]
        return [name for name, ref in targets if (ref["kind"], ref["name"]) == ("Deployment", deployment)]

    def get(self, ref: Ref) -> Object:
        """Read one object."""
        return self._request("get", str(ref), "GET", ref.path)

    def find(self, ref: Ref) -> Object | None:
        """Read one object; None when it is not there."""
        try:
            return self.get(ref)
        except KubeError as error:
            if error.status != 404:
                raise
            return None

    def select(self, resource: str, namespace: str, selector: str = "") -> list[Object]:
        """The objects of a resource (`v1/pods`) in a namespace, or in all, that a label selector selects."""
        what = f"{resource} in {namespace}" if namespace else resource
        path = Ref(resource, namespace, "").collection
        items: list[Object] = self._request("list", what, "GET", path, query={"labelSelector": selector})["items"]
        return items

    def create(self, ref: Ref, manifest: Object) -> Object:
        """Create an object; HTTP 409 when there is one of its name."""
        return self._request("create", str(ref), "POST", ref.collection, manifest)

    def patch(self, ref: Ref, patch: Object) -> Object:
        """Merge-patch one object; with metadata.resourceVersion in the patch a change in between is a 409."""
        return self._request("patch", str(ref), "PATCH", ref.path, patch)

    def delete(self, ref: Ref, uid: str = "", version: str = "") -> None:
        """Delete an object, only with this UID and resourceVersion where they are given (else HTTP 409)."""
        named = {"uid": uid, "resourceVersion": version}
        body = {"preconditions": {key: value for key, value in named.items() if value}}
        self._request("delete", str(ref), "DELETE", ref.path, body)

    def can(self, verb: str, resource: str, namespace: str, *, group: str = "", name: str = "") -> bool:
        """Whether this user may do it (`kubectl auth can-i`); group is `apps` for Deployments, empty for pods."""
        attributes = {"verb": verb, "resource": resource, "namespace": namespace, "group": group, "name": name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        what, path = f"permission to {verb} {resource} in {namespace}", "/apis/authorization.k8s.io/v1"
        found = self._request("review", what, "POST", f"{path}/selfsubjectaccessreviews", review)
        return bool(found["status"].get("allowed"))

    def _request(
        self,
        verb: str,
        what: str,
        method: str,
        path: str,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        from urllib3.exceptions import HTTPError

        where = f"cluster {self._cluster.context!r}: cannot {verb} {what}"
        try:
            status, reason, content = self._ask(method, path, body, query or {})
        except self._client.ApiException as error:
            raise KubeError(f"{where}: {_unfit(str(error.reason), self._cluster)}") from error
        except (HTTPError, OSError) as error:
            step = "is the API server up, and reachable from here?"
            raise KubeError(f"{where}: {_silence(error)}; {step}") from error
        if not 200 <= status <= 299:
            cause, step = _explain(status, content, reason)
            raise KubeError(f"{where}: {cause}; {step}", status)
        try:
            answer = json.loads(content)
        except ValueError as error:
            raise KubeError(
                f"{where}: the answer is not JSON; does {self._cluster.kubeconfig} lead to Kubernetes?"
            ) from error
        if not isinstance(answer, dict):
            raise KubeError(f"{where}: the answer is not an object")
        return answer

    def _ask(self, method: str, path: str, body: Object | None, query: Mapping[str, str]) -> tuple[int, str, bytes]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = _MERGE_PATCH if method == "PATCH" else "application/json"
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        response = self._api.call_api(*request, _request_timeout=TIMEOUT)
        content: bytes = response.read()
        return response.status, response.reason, content


def _silence(error: Exception) -> str:
    """Why there was no answer, for people: the client's own texts show its objects and addresses in memory."""
    from urllib3 import exceptions

    match error:
        case exceptions.NameResolutionError():
            return "the server's name is not known"
        case exceptions.NewConnectionError():
            return _errno(error.__cause__) or "cannot connect"
        case exceptions.ConnectTimeoutError():
            return f"no answer within {TIMEOUT[0]:g} s (connect)"
        case exceptions.ReadTimeoutError():
            return f"no answer within {TIMEOUT[1]:g} s (read)"
        case exceptions.ProtocolError():
            return f"no whole answer: {_errno(error.__context__) or 'the connection was closed'}"
        case OSError():
            return _errno(error) or "no answer"
        case _:
            return f"no answer ({type(error).__name__})"


def _errno(error: BaseException | None) -> str | None:
    text = error.strerror if isinstance(error, OSError) else None
    return text and text[0].lower() + text[1:]


def _unfit(reason: str, cluster: Cluster) -> str:
    """What the client says when TLS fails."""
    found = re.search(r"(?:verify failed: |\] )(.*?)(?: \(_ssl|$)", " ".join(reason.split()))
    return (
        f"the certificate of the API server or of the user does not fit ({found[1] if found else reason}); compare "
        f"`certificate-authority` and `server` of {cluster.context!r} in {cluster.kubeconfig} with the cluster's own"
    )


def _explain(status: int, body: str | bytes | None, reason: str | None) -> tuple[str, str]:
    try:
        cause = str(json.loads(body or "")["message"])
    except (ValueError, KeyError, TypeError):
        cause = str(reason)
    steps = {
        401: "the credentials in the kubeconfig are not accepted; renew them",
        403: "grant the permission to the user of the kubeconfig",
        404: "check the name in fleet.yaml",
        409: "someone else changed it in between",
    }
    return f"HTTP {status} {cause}", steps.get(status, "see the API server's log")


def _deployment(raw: dict[str, Any]) -> Deployment:
    meta, spec, status = raw["metadata"], raw["spec"], raw.get("status", {})
    replicas = int(spec.get("replicas", 1))
    counts = [int(status.get(key) or 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    seen = int(status.get("observedGeneration") or 0) >= int(meta.get("generation") or 0)
    return Deployment(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        replicas=replicas,
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        selector=spec["selector"].get("matchLabels") or {},
        settled=seen and counts == [replicas] * 3,
        existing=counts[0],
    )


def _pod(raw: dict[str, Any]) -> Pod:
    status, conditions = raw.get("status", {}), raw.get("status", {}).get("conditions") or []
    port, path = _readiness(raw["spec"]["containers"])
    ids = {str(c["containerID"]) for c in status.get("containerStatuses") or [] if c.get("containerID")}
    return Pod(
        name=raw["metadata"]["name"],
        uid=raw["metadata"]["uid"],
        ip=status.get("podIP") or "",
        ready=any(c["type"] == "Ready" and c["status"] == "True" for c in conditions),
        containers=frozenset(ids),
        port=port,
        path=path,
    )


def _readiness(containers: list[dict[str, Any]]) -> tuple[int | None, str]:
    for container in containers:
        get = (container.get("readinessProbe") or {}).get("httpGet")
        if get:
            named = {p.get("name"): p["containerPort"] for p in container.get("ports") or []}
            port = named.get(get["port"], get["port"])
            return (port if isinstance(port, int) else None), get.get("path") or "/"
    return None, "/"
