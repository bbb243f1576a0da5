"""Docker and kubectl, as the kind provider calls them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackstart.lab.api import unsettled
from blackstart.lab.kindfiles import NETWORK, PREFIX
from blackstart.lab.parts import find_kubectl
from blackstart.lab.paths import LabPaths
from blackstart.lab.shell import LabError, run, wait_for


@dataclass(frozen=True)
class Box:
    """A container: its address on the network `kind`, the pid of its first process, its state, its image's id."""

    address: str
    pid: int
    status: str
    image: str


def need_docker() -> None:
    """Raises LabError, in one line, where Docker does not answer."""
    try:
        run(["docker", "version", "--format", "{{.Server.Version}}"], timeout=10)
    except LabError:
        raise LabError(
            "Docker does not answer, and --provider kind needs it; "
            "--provider native does not: `blackstart lab up --provider native`"
        ) from None


def unpause(region: str) -> None:
    """Let the region's processes go on."""
    docker_each(["unpause"], "status=paused", f"name=^/?{PREFIX}{region}-")


def docker_each(command: Sequence[str], *filters: str) -> None:
    """Run a command of Docker on every container that passes all filters."""
    options = [option for text in filters for option in ("--filter", text)]
    for container in run(["docker", "ps", "--all", "--quiet", *options]).split():
        run(["docker", *command, container])


def inspect(container: str) -> Box:
    """Raises LabError where there is no such container."""
    found: dict[str, Any] = json.loads(run(["docker", "inspect", "--type", "container", container]))[0]
    network = found["NetworkSettings"]["Networks"].get(NETWORK, {})
    state = found["State"]
    return Box(network.get("IPAddress", ""), state["Pid"], state["Status"], found["Image"])


def wait_until_settled(region: str, paths: LabPaths, stale: frozenset[str], deadline: float) -> None:
    """Until all pods of all Deployments are Ready, with containers not in `stale`. Raises LabError."""

    def settled() -> bool | None:
        lists = [_items(paths, region, kind) for kind in ("deployments", "pods")]
        return None if None in lists or unsettled(lists[0] or [], lists[1] or [], stale) else True

    wait_for(f"region {region}: pods Ready", settled, deadline, every=0.5)


def _items(paths: LabPaths, region: str, kind: str) -> list[dict[str, Any]] | None:
    try:
        listed = run([*kubectl(paths, region), "get", kind, "-A", "-o", "json", "--request-timeout=3s"])
    except LabError:
        return None  # the API server does not answer yet
    items: list[dict[str, Any]] = json.loads(listed)["items"]
    return items


def apply(region: str, paths: LabPaths, objects: list[dict[str, Any]]) -> None:
    """Raises LabError."""
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    run([*kubectl(paths, region), "apply", "--server-side", "-f", "-"], stdin=document, timeout=60)


def uid(region: str, paths: LabPaths) -> str:
    """The UID of kube-system: the cluster's identity."""
    return run([*kubectl(paths, region), "get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"])


def kubectl(paths: LabPaths, region: str) -> list[str]:
    """The beginning of a kubectl command at the region."""
    found = find_kubectl()
    if found is None:
        raise LabError("kubectl is not installed; see `blackstart lab doctor`")
    return [str(found), f"--kubeconfig={paths.kubeconfig(region)}"]


def write(path: Path, text: str) -> None:
    """Readable by the owner only: some of these are keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
