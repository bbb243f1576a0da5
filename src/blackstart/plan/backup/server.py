"""Velero's server in a cluster: its Deployment, options, version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from blackstart.plan.resources import ClusterConfig, Resource
from blackstart.plan.values import items, mapping, text, texts

IMAGE = re.compile(r"(?:^|/)velero(?:[:@]|$)")
PLUGIN = re.compile(r"(?:^|/)(velero-plugin-[\w-]+):v?([\w.-]+)")


@lru_cache(maxsize=64)
def servers(cluster: ClusterConfig) -> tuple[Resource, ...]:
    """The Deployments that are Velero's server, by name or by image."""
    return tuple(
        resource
        for resource in cluster.of("Deployment")
        if resource.name == "velero"
        or any(IMAGE.search(text(container.get("image"))) for _, container in containers(resource))
    )


def containers(resource: Resource, key: str = "containers") -> Iterator[tuple[int, dict[str, object]]]:
    """The containers of a workload."""
    return items(mapping(mapping(resource.spec.get("template")).get("spec")).get(key))


def arguments(cluster: ClusterConfig) -> Iterator[str]:
    """The options of the server."""
    for resource in servers(cluster):
        for _, container in containers(resource):
            for key in ("command", "args"):
                yield from (one for _, one in texts(container.get(key)))


def argument(cluster: ClusterConfig, name: str) -> str:
    """The value of an option; empty where it is not given."""
    words = list(arguments(cluster))
    for i, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option == f"--{name}":
            following = words[i + 1] if i + 1 < len(words) and not words[i + 1].startswith("-") else ""
            return value if equals else following or "true"
    return ""


def switched_on(cluster: ClusterConfig, name: str) -> bool:
    """Whether an option of the server is switched on."""
    return argument(cluster, name).lower() in ("true", "1", "t")


def has_csi(cluster: ClusterConfig) -> bool:
    """Whether the server takes snapshots by CSI."""
    return "EnableCSI" in argument(cluster, "features").split(",")


def versions(cluster: ClusterConfig) -> Iterator[tuple[Resource, tuple[str | int, ...], str, str]]:
    """What is known of versions: object, path below it, component, version."""
    for resource in servers(cluster):
        for key in ("containers", "initContainers"):
            for i, container in containers(resource, key):
                image = text(container.get("image"))
                path = ("spec", "template", "spec", key, i, "image")
                if found := PLUGIN.search(image):
                    yield resource, path, found[1], found[2]
                elif IMAGE.search(image) and (tag := image.partition("@")[0].rpartition("/")[2].partition(":")[2]):
                    yield resource, path, "velero", tag.removeprefix("v")
    for resource in cluster.of("ServerStatusRequest"):
        if version := text(mapping(resource.manifest.data.get("status")).get("serverVersion")):
            yield resource, ("status", "serverVersion"), "velero", version.removeprefix("v")
