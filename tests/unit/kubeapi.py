"""A Kubernetes API server in memory: Deployments with pods in one namespace, and plain objects of any kind.

Real resourceVersions, preconditions, 409s, and what an owner's end does to its dependents.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

UID = "11111111-2222-3333-4444-555555555555"
NAMESPACE = "production"
Json = dict[str, Any]


_PLAIN = (
    r"(/apis?/.+/namespaces/[^/]+/[^/]+|/api/v1/(?:nodes|namespaces)|/apis/rbac[^/]+/v1/cluster[^/]+)(?:/([^/]+))?"
)


class KubeApi:
    """Serves on 127.0.0.1. `on_scale` is called after each change of a replica count; `fail` answers in its place."""

    def __init__(self, *, uid: str = UID, address: str = "127.0.0.1:1") -> None:
        self.uid, self.address = uid, address
        self.deployments: dict[str, Json] = {}
        self.pods: dict[str, Json] = {}
        self.autoscalers: list[Json] = []
        self.patches: list[Json] = []
        self.denied: set[str] = set()
        self.fail: Callable[[str, str], tuple[int, str] | None] = lambda method, path: None
        self.before_patch: Callable[[], None] = lambda: None
        self.on_scale: Callable[[int], None] = lambda replicas: None
        self.recreate = True
        self.check_version = True
        self.objects: dict[str, Json] = {}
        self.on_create: Callable[[Json], None] = lambda obj: None
        self.requests: list[tuple[str, str]] = []
        self._version = 0
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    def __enter__(self) -> KubeApi:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add(self, name: str, replicas: int) -> None:
        """A Deployment with its pods, all ready."""
        self.deployments[name] = {
            "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "generation": 1},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": name}]}},
            },
        }
        self.settle(name)

    def settle(self, name: str) -> None:
        """What the controllers would do: pods as wanted, counts in the status, a new resourceVersion."""
        found = self.deployments[name]
        wanted = found["spec"]["replicas"]
        mine = [key for key, pod in self.pods.items() if pod["metadata"]["labels"] == {"app": name}]
        for key in mine[wanted:]:
            del self.pods[key]
        for _ in range(wanted - len(mine) if self.recreate else 0):
            self._pod(name)
        have = min(wanted, sum(pod["metadata"]["labels"] == {"app": name} for pod in self.pods.values()))
        found["status"] = {"observedGeneration": found["metadata"]["generation"], "replicas": have}
        found["status"] |= {"updatedReplicas": have, "availableReplicas": have, "readyReplicas": have}
        self.touch(name)

    def touch(self, name: str) -> None:
        """A new resourceVersion."""
        self._version += 1
        self.deployments[name]["metadata"]["resourceVersion"] = str(self._version)

    def restart_containers(self) -> None:
        """New containers in the same pods, as after a region's restart."""
        for pod in self.pods.values():
            self._version += 1
            pod["status"]["containerStatuses"][0]["containerID"] = f"containerd://{self._version}"

    def kubeconfig(self, folder: Path, context: str = "here") -> Path:
        """A kubeconfig whose current context is not this server."""
        server = f"http://127.0.0.1:{self._server.server_address[1]}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "production-of-someone-else",
            "clusters": [
                {"name": context, "cluster": {"server": server}},
                {"name": "other", "cluster": {"server": "http://127.0.0.1:9"}},
            ],
            "users": [{"name": context, "user": {"token": "t"}}],
            "contexts": [
                {"name": context, "context": {"cluster": context, "user": context}},
                {"name": "production-of-someone-else", "context": {"cluster": "other", "user": context}},
            ],
        }
        path = folder / f"kubeconfig-{context}"
        path.write_text(yaml.safe_dump(config))
        return path

    # -- the requests

    def answer(self, method: str, path: str, query: str, body: Json) -> tuple[int, Json]:
        with self._lock:
            self.requests.append((method, path))
            return self._answer(method, path, query, body)

    def _answer(self, method: str, path: str, query: str, body: Json) -> tuple[int, Json]:
        if failure := self.fail(method, path):
            return failure[0], {"kind": "Status", "message": failure[1]}
        if path == "/api/v1/namespaces/kube-system":
            return 200, {"metadata": {"name": "kube-system", "uid": self.uid}}
        if path.endswith("/selfsubjectaccessreviews"):
            return 201, {"status": {"allowed": body["spec"]["resourceAttributes"]["verb"] not in self.denied}}
        if path.endswith("/horizontalpodautoscalers"):
            return 200, {"items": self.autoscalers}
        if match := re.fullmatch(rf"/apis/apps/v1/namespaces/{NAMESPACE}/deployments(?:/(.+))?", path):
            return self._deployment(method, match[1], body)
        if match := re.fullmatch(rf"/api/v1/namespaces/{NAMESPACE}/pods(?:/(.+))?", path):
            return self._pods(method, match[1], query, body)
        if path == "/apis/apps/v1/deployments":
            return 200, {"items": [found for found in self.deployments.values() if _has(found, query)]}
        if match := re.fullmatch(_PLAIN, path):
            return self._object(method, match[1], match[2], query, body)
        if match := re.fullmatch(r"(/apis?/.*?v1)/([^/]+)", path):
            return 200, {"items": [found for found in self._everywhere(match[1], match[2]) if _has(found, query)]}
        return 404, {"message": f"no {path}"}

    def _everywhere(self, version: str, plural: str) -> list[Json]:
        """The plain objects of a kind in all namespaces."""
        pattern = re.compile(rf"{re.escape(version)}/namespaces/[^/]+/{plural}/[^/]+")
        return [found for path, found in self.objects.items() if pattern.fullmatch(path)]

    def named(self, plural: str) -> list[Json]:
        """The plain objects of a kind (`leases`)."""
        return [obj for path, obj in self.objects.items() if path.split("/")[-2] == plural]

    def _object(self, method: str, where: str, name: str | None, query: str, body: Json) -> tuple[int, Json]:
        if method == "POST":
            return self._create(where, body)
        if name is None:
            return 200, {
                "items": [o for p, o in self.objects.items() if p.rpartition("/")[0] == where and _has(o, query)]
            }
        found = self.objects.get(f"{where}/{name}")
        if found is None:
            return 404, {"message": f"{name} not found"}
        if method == "PATCH":
            version = body.get("metadata", {}).pop("resourceVersion", None)
            if version not in (None, found["metadata"]["resourceVersion"]):
                return 409, {"message": "the object has been modified"}
            before = json.dumps(found)
            _merge(found, body)
            if json.dumps(found) != before:
                found["metadata"]["resourceVersion"] = self._next()
        if method == "DELETE":
            wanted = body.get("preconditions", {})
            if any(found["metadata"][key] != value for key, value in wanted.items()):
                return 409, {"message": "precondition failed"}
            self.collect(f"{where}/{name}")
            if where == "/api/v1/namespaces":
                self.empty(name)
        return 200, found

    def empty(self, namespace: str) -> None:
        """What a namespace's end does to all that is in it."""
        for path in [path for path in self.objects if f"/namespaces/{namespace}/" in path]:
            self.objects.pop(path, None)

    def _create(self, where: str, body: Json) -> tuple[int, Json]:
        path = f"{where}/{body['metadata']['name']}"
        if path in self.objects:
            return 409, {"message": f"{path} already exists"}
        body["metadata"] |= {"uid": f"uid-{self._next()}", "resourceVersion": self._next()}
        self.objects[path] = body
        self.on_create(body)
        return 201, body

    def collect(self, path: str) -> None:
        """Delete an object and what it owns."""
        gone = self.objects.pop(path, None)
        owners = [(p, o["metadata"].get("ownerReferences", [])) for p, o in self.objects.items()]
        for dependent, references in owners:
            if gone and any(owner["uid"] == gone["metadata"]["uid"] for owner in references):
                self.collect(dependent)

    def _next(self) -> str:
        self._version += 1
        return str(self._version)

    def _deployment(self, method: str, name: str | None, body: Json) -> tuple[int, Json]:
        if name is None:
            return 200, {"items": list(self.deployments.values())}
        if name not in self.deployments:
            return 404, {"message": f'deployments.apps "{name}" not found'}
        found = self.deployments[name]
        if method == "PATCH":
            self.before_patch()
            version = body.get("metadata", {}).pop("resourceVersion", None)
            # Fencing changes the version and nothing else, whatever the version was.
            careful = self.check_version and "blackstart.dev/fenced" not in body.get("metadata", {}).get("labels", {})
            if (careful or version) and version != found["metadata"]["resourceVersion"]:
                return 409, {"message": "the object has been modified"}
            self.patches.append(json.loads(json.dumps(body)))
            _merge(found, body)
            found["metadata"]["generation"] += 1
            self.settle(name)
            self.on_scale(found["spec"]["replicas"])
        return 200, found

    def _pods(self, method: str, name: str | None, query: str, body: Json) -> tuple[int, Json]:
        if method == "GET":
            app = re.search(r"app%3D([^&]+)", query)
            items = [p for p in self.pods.values() if app and p["metadata"]["labels"]["app"] == app[1]]
            return 200, {"items": items}
        if name not in self.pods:
            return 404, {"message": "gone"}
        uid = self.pods[name]["metadata"]["uid"]
        if body.get("preconditions", {}).get("uid", uid) != uid:
            return 409, {"message": "uid"}
        assert body["gracePeriodSeconds"] == 0
        owner = self.pods.pop(name)["metadata"]["labels"]["app"]
        self.settle(owner)
        self.on_scale(0)
        return 200, {"kind": "Status"}

    def _pod(self, owner: str) -> None:
        self._version += 1
        name, (ip, _, port) = f"{owner}-{self._version}", self.address.rpartition(":")
        get = {"path": "/healthz", "port": "http"}
        ports = [{"name": "http", "containerPort": int(port)}]
        container = {"name": owner, "ports": ports, "readinessProbe": {"httpGet": get}}
        self.pods[name] = {
            "metadata": {"name": name, "uid": f"pod-{self._version}", "labels": {"app": owner}},
            "spec": {"containers": [container]},
            "status": {
                "podIP": ip,
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"containerID": f"containerd://{self._version}"}],
            },
        }


def _has(obj: Json, query: str) -> bool:
    """Whether it carries the labels that are asked for."""
    asked = re.search(r"labelSelector=([^&]+)", query)
    wanted = [pair.partition("=") for pair in unquote(asked[1]).split(",")] if asked else []
    labels = obj["metadata"].get("labels") or {}
    return all(labels.get(key) == value if equals else key in labels for key, equals, value in wanted)


def _merge(into: Json, patch: Json) -> None:
    """RFC 7396."""
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def _handler(api: KubeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Header and body are two writes: the second would wait 40 ms for an acknowledgement.
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path, _, query = self.path.partition("?")
            if self.command == "PATCH" and api.check_version:
                assert self.headers["Content-Type"] == "application/merge-patch+json"
            status, answer = api.answer(self.command, path, query, json.loads(raw or b"{}"))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PATCH = do_POST = do_DELETE = _serve  # noqa: N815 - the names of http.server

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    return Handler
