"""HTTP from inside a namespace, and the few questions that the lab asks an API server."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.fleet.model import Place
from blackstart.fleet.places import open_socket
from blackstart.lab.pki import Pair
from blackstart.lab.shell import LabError

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Api:
    """A region's API server, asked from inside the region, so that silent links do not matter.

    `check_alive` raises LabError when it will never answer (again).
    """

    place: Place
    host: str
    ca: Path
    client: Pair
    check_alive: Callable[[], None] = lambda: None
    timeout: float = 2.0

    def get(self, path: str) -> bytes | None:
        """The body of a 200, else None: not there, not ready, not reachable."""
        try:
            status, body = self._ask("GET", path)
        except OSError:
            return None
        return body if status == 200 else None

    def apply(self, obj: Object, deadline: float = 60.0) -> None:
        """Server-side apply. Raises LabError with the API server's answer.

        It may be said as often as one likes. So what is not answered, or with
        an error of the server itself, is said again for `deadline` seconds (two
        API servers that start on two cores owe answers for long), and likewise
        what is not known: definitions that were just made are served a moment
        later.
        """
        path = f"{object_path(obj)}?fieldManager=blackstart-lab&force=true"
        body = json.dumps(obj)
        end = time.monotonic() + deadline
        while trouble := self._owed(path, body):
            self.check_alive()
            if time.monotonic() > end:
                raise LabError(trouble)
            time.sleep(0.2)

    def ready(self) -> bool | None:
        """True when it answers /readyz, else None."""
        return True if self.get("/readyz") else None

    def items(self, path: str) -> list[Object] | None:
        """The items of a list."""
        body = self.get(path)
        return None if body is None else json.loads(body)["items"]

    def uid(self) -> str | None:
        """The UID of kube-system: the cluster's identity."""
        body = self.get("/api/v1/namespaces/kube-system")
        return None if body is None else str(json.loads(body)["metadata"]["uid"])

    def _owed(self, path: str, body: str) -> str:
        """Why an object is not applied yet; empty once it is. Raises LabError when it never will be."""
        where = f"https://{self.host}:6443{path}"
        try:
            status, answer = self._ask("PATCH", path, body, "application/apply-patch+yaml", timeout=10.0)
        except OSError as error:
            return f"{where}: {error!r}"
        if status in (200, 201):
            return ""
        trouble = f"{where}: {status} {answer.decode(errors='replace')[:500]}"
        if status in (404, 429) or status >= 500:
            return trouble
        raise LabError(trouble)

    def _ask(
        self, method: str, path: str, body: str = "", content: str = "", timeout: float | None = None
    ) -> tuple[int, bytes]:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.client.cert, self.client.key)
        request = Request(method, path, body, content)
        return ask(self.place, (self.host, 6443), request, timeout or self.timeout, context)


@dataclass(frozen=True)
class Request:
    """An HTTP request; `content` is the type of the body."""

    method: str
    path: str
    body: str = ""
    content: str = ""


def ask(
    place: Place,
    address: tuple[str, int],
    request: Request,
    timeout: float,
    context: ssl.SSLContext | None = None,
) -> tuple[int, bytes]:
    """Status and body, asked from `place`. Raises OSError, also when what comes is no HTTP."""
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        sock = connection.sock = open_socket(place)
        sock.settimeout(timeout)
        sock.connect(address)
        if context is not None:
            connection.sock = context.wrap_socket(sock, server_hostname=address[0])
        headers = {"Content-Type": request.content} if request.content else {}
        connection.request(request.method, request.path, request.body or None, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError(repr(error)) from error
    finally:
        connection.close()


def object_path(obj: Object) -> str:
    """The path of an object whose plural is that of an English word: gateways, serviceentries."""
    version, meta = obj["apiVersion"], obj["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    kind = obj["kind"].lower()
    plural = f"{kind[:-1]}ies" if kind[-1] == "y" and kind[-2] not in "aeiou" else f"{kind}s"
    return f"{root}{namespace}/{plural}/{meta['name']}"


def node_ready(nodes: Sequence[Object]) -> bool:
    """Whether there is a node, and all are Ready."""
    return bool(nodes) and all(_condition(node, "Ready") for node in nodes)


def container_ids(pods: Sequence[Object]) -> frozenset[str]:
    """The ids of all containers that the pods report."""
    return frozenset(
        status["containerID"]
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses", [])
        if status.get("containerID")
    )


def unsettled(deployments: Sequence[Object], pods: Sequence[Object], stale: frozenset[str]) -> list[str]:
    """What is not there yet: `namespace/name 1/3` for each Deployment with too few ready pods.

    A pod counts when it is Ready and none of its containers is in `stale`:
    after a crash the API lists the old pods as Ready until the kubelet has
    reported.
    """
    missing = []
    for deployment in deployments:
        meta, spec = deployment["metadata"], deployment["spec"]
        labels = spec["selector"].get("matchLabels", {}).items()
        ready = sum(
            pod["metadata"]["namespace"] == meta["namespace"]
            and labels <= pod["metadata"].get("labels", {}).items()
            and _condition(pod, "Ready")
            and not container_ids([pod]) & stale
            for pod in pods
        )
        if ready < spec["replicas"]:
            missing.append(f"{meta['namespace']}/{meta['name']} {ready}/{spec['replicas']}")
    return missing


def _condition(obj: Object, kind: str) -> bool:
    conditions = obj.get("status", {}).get("conditions", [])
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)
