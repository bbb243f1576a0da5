"""Reads metrics from YAML: prometheus.yml, ConfigMaps with it, Thanos' workloads and files, operated objects."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from blackstart.plan.folders import cluster_files
from blackstart.plan.metrics.check import FORM, Source
from blackstart.plan.metrics.model import Flag, Listing, MetricsConfig, Part, Said, Scraper
from blackstart.plan.resources import ClusterConfig, Resource
from blackstart.plan.values import items, mapping, text, texts
from blackstart.schema.errors import ContentError, Finding, KeyPath, Place, shown
from blackstart.schema.manifests import Manifest, read_documents, read_manifests

KINDS = ("ConfigMap", "Deployment", "StatefulSet", "Prometheus", "Node")
"""The kinds that lint reads, beside files without one."""

COMPONENTS = ("query", "sidecar")
_THANOS = re.compile(r"(^|/)thanos([:@-]|$)")


@dataclass
class _Found:
    """What was read so far."""

    scrapers: list[Scraper] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    endpoints: list[Listing] = field(default_factory=list)
    stores: list[Listing] = field(default_factory=list)
    nodes: defaultdict[str, list[Resource]] = field(default_factory=lambda: defaultdict(list))
    problems: list[Finding] = field(default_factory=list)


def read_files(paths: Sequence[Path], said: Said) -> Source:
    """The metrics that files and folders describe. Raises ContentError when there are none."""
    found = _Found()
    files = dict.fromkeys(pair for path in paths for pair in cluster_files(path))
    for cluster, file in files:
        manifests, _, wrong = read_manifests(file, lambda version, kind: kind in ("", *KINDS))
        found.problems += wrong
        for manifest in manifests:
            if isinstance(manifest.data, dict):
                _take(found, cluster, file.name, manifest)
    clusters = (ClusterConfig(name, tuple(nodes)) for name, nodes in found.nodes.items())
    config = MetricsConfig(
        tuple(found.scrapers), tuple(found.parts), tuple(found.endpoints), tuple(found.stores), tuple(clusters), said
    )
    problems = tuple(replace(finding, rule=FORM.id) for finding in found.problems)
    if config.empty and not problems:
        where = Place(", ".join(shown(path) for path in paths))
        says = f"has no configuration of Prometheus or Thanos in {len(files)} YAML files"
        fix = "name the folder with prometheus.yml, its ConfigMap, or Thanos' Deployments"
        raise ContentError([Finding(where, (), says, fix)])
    return Source(config, f"{len(files)} file{'s' if len(files) != 1 else ''}", problems)


def _take(found: _Found, cluster: str, name: str, manifest: Manifest) -> None:
    data, kind = manifest.data, manifest.data.get("kind")
    meta = mapping(data.get("metadata"))
    full = "/".join(part for part in (text(meta.get("namespace")), text(meta.get("name"))) if part)
    if kind == "Node":
        found.nodes[cluster].append(Resource("Node", cluster, manifest))
    elif kind == "ConfigMap":
        for key, value in mapping(data.get("data")).items():
            _embedded(found, cluster, f"{full}/{key}", manifest, key, value)
    elif kind in ("Deployment", "StatefulSet"):
        found.parts += _parts(cluster, full, manifest)
    elif kind == "Prometheus":
        found.scrapers.append(Scraper(full, cluster, manifest))
        found.parts += _operated(cluster, full, manifest)
    elif kind is None:
        _plain(found, cluster, name, manifest)


def _plain(found: _Found, cluster: str, name: str, manifest: Manifest) -> None:
    """A file that is no object of Kubernetes."""
    data = manifest.data
    if isinstance(data.get("scrape_configs"), list) or mapping(data.get("global")).get("external_labels"):
        found.scrapers.append(Scraper(name, cluster, manifest))
    elif any(entry.get("address") for _, entry in items(data.get("endpoints"))):
        found.endpoints.append(Listing(cluster, manifest))
    elif isinstance(data.get("type"), str) and mapping(data.get("config")).get("bucket"):
        found.stores.append(Listing(cluster, manifest))


def _embedded(found: _Found, cluster: str, name: str, manifest: Manifest, key: str, value: Any) -> None:
    """A value of a ConfigMap, if it looks like one of those files."""
    if not re.search(r"^\s*(scrape_configs|global|endpoints|type)\s*:", text(value), re.MULTILINE):
        return
    at = manifest.place(("data", key))
    # A block begins on the line below its key.
    line = (at.line or 1) + ("\n" in text(value))
    documents, wrong = read_documents(text(value), Place(at.file), line)
    found.problems += wrong if "scrape_configs" in text(value) else []
    for document in documents:
        if "kind" not in document.data:
            _plain(found, cluster, name, document)


def _parts(cluster: str, name: str, manifest: Manifest) -> Iterator[Part]:
    """The containers of Thanos in a workload."""
    spec = mapping(mapping(mapping(manifest.data.get("spec")).get("template")).get("spec"))
    for i, container in items(spec.get("containers")):
        path: KeyPath = ("spec", "template", "spec", "containers", i)
        words = [(word, (*path, key, n)) for key in ("command", "args") for n, word in texts(container.get(key))]
        component = next((word for word, _ in words if word in COMPONENTS), "")
        image = text(container.get("image"))
        if component and (_THANOS.search(image) or any(Path(word).name == "thanos" for word, _ in words)):
            yield Part(component, name, cluster, image, tuple(_flags(words)), path, manifest)


def _flags(words: list[tuple[str, KeyPath]]) -> Iterator[Flag]:
    for i, (word, path) in enumerate(words):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            following = words[i + 1][0] if i + 1 < len(words) else ""
            yield Flag(name, value if equals or following.startswith("-") else following, path)


def _operated(cluster: str, name: str, manifest: Manifest) -> Iterator[Part]:
    """The sidecar that the operator adds."""
    thanos = mapping(manifest.data.get("spec")).get("thanos")
    if isinstance(thanos, dict):
        known = {"getConfigInterval": "get_config_interval", "getConfigTimeout": "get_config_timeout"}
        given = {key: flag for key, flag in known.items() if key in thanos}
        flags = (
            Flag(f"prometheus.{flag}", text(thanos[key]), ("spec", "thanos", key)) for key, flag in given.items()
        )
        yield Part("sidecar", name, cluster, text(thanos.get("image")), tuple(flags), ("spec", "thanos"), manifest)
