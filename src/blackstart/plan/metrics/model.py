"""What lint knows of metrics: each Prometheus' configuration, each part of Thanos, where they run. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from blackstart.plan.resources import ClusterConfig
from blackstart.plan.values import items, mapping, seconds, text, texts
from blackstart.schema.errors import Finding, KeyPath
from blackstart.schema.manifests import Manifest

UNSAID_RTO = 30.0
INTERVAL = 60.0
"""What Prometheus takes where no scrape_interval is set."""

REPLICAS = re.compile(r"(^|_)replica$")
"""Labels that tell replicas of one Prometheus apart."""

_OPERATOR_INTERVAL = 30.0


def duration(value: Any) -> float | None:
    """The seconds of a duration as Prometheus writes it (`1m30s`, `1d`)."""
    whole = re.fullmatch(r"(?:(\d+)w)?(?:(\d+)d)?(.*)", text(value))
    if not whole or not text(value):
        return None
    days = 7 * int(whole[1] or 0) + int(whole[2] or 0)
    rest = seconds(whole[3]) if whole[3] else 0.0
    return None if rest is None else 86400.0 * days + rest


@dataclass(frozen=True)
class Job:
    """One entry of scrape_configs; `at` is where its interval stands."""

    path: KeyPath
    data: dict[str, Any]
    interval: float
    at: KeyPath

    @property
    def name(self) -> str:
        return text(self.data.get("job_name"))

    @property
    def federates(self) -> bool:
        """Whether it takes another Prometheus' series."""
        return text(self.data.get("metrics_path")).rstrip("/").endswith("/federate")

    @property
    def matches(self) -> list[str]:
        """What it takes of them."""
        return [one for _, one in texts(mapping(self.data.get("params")).get("match[]"))]


@dataclass(frozen=True)
class Scraper:
    """The configuration of one Prometheus: prometheus.yml, or a Prometheus of its operator."""

    name: str
    cluster: str
    manifest: Manifest

    @cached_property
    def operated(self) -> bool:
        return self.manifest.data.get("kind") == "Prometheus"

    @cached_property
    def settings(self) -> tuple[KeyPath, dict[str, Any]]:
        key = "spec" if self.operated else "global"
        return (key,), mapping(self.manifest.data.get(key))

    @cached_property
    def external(self) -> tuple[KeyPath, dict[str, Any]]:
        """The external labels; the operator adds its own."""
        path, found = self.settings
        key = "externalLabels" if self.operated else "external_labels"
        added = {"prometheus_replica": "$(POD_NAME)", "prometheus": self.name} if self.operated else {}
        return (*path, key), {**added, **mapping(found.get(key))}

    @cached_property
    def interval(self) -> tuple[float, KeyPath]:
        """Seconds between two scrapes where a job says nothing else, and where that stands."""
        path, found = self.settings
        key, unsaid = ("scrapeInterval", _OPERATOR_INTERVAL) if self.operated else ("scrape_interval", INTERVAL)
        return duration(found.get(key)) or unsaid, (*path, key)

    @cached_property
    def jobs(self) -> list[Job]:
        found = []
        for i, data in items(self.manifest.data.get("scrape_configs")):
            path: KeyPath = ("scrape_configs", i)
            own = duration(data.get("scrape_interval"))
            common, at = self.interval
            found.append(Job(path, data, own or common, (*path, "scrape_interval") if own else at))
        return found

    @property
    def federating(self) -> list[Job]:
        return [job for job in self.jobs if job.federates]

    @property
    def regional(self) -> bool:
        """Whether it watches something itself, rather than other Prometheuses only."""
        return self.operated or len(self.federating) < len(self.jobs)

    def finding(self, path: KeyPath, message: str) -> Finding:
        return Finding(self.manifest.place(path), path, message)

    @property
    def where(self) -> str:
        return str(self.manifest.place(()))


@dataclass(frozen=True)
class Flag:
    """One option of a process, and where it stands."""

    name: str
    value: str
    path: KeyPath


@dataclass(frozen=True)
class Part:
    """A process of Thanos: `query`, `sidecar`. `flags` are all that it has."""

    component: str
    name: str
    cluster: str
    image: str
    flags: tuple[Flag, ...]
    path: KeyPath
    manifest: Manifest

    def of(self, *names: str) -> Iterator[Flag]:
        """The options of these names."""
        return (flag for flag in self.flags if flag.name in names)

    def get(self, name: str) -> Flag | None:
        """The last one of a name."""
        return next(reversed(list(self.of(name))), None)

    def finding(self, flag: Flag | None, message: str) -> Finding:
        """About one of its options, or about the process where it lacks one."""
        path = flag.path if flag else self.path
        return Finding(self.manifest.place(path), path, message)


@dataclass(frozen=True)
class Listing:
    """A file of endpoints (`--endpoint.sd-config-file`), or of an object store."""

    cluster: str
    manifest: Manifest

    def finding(self, path: KeyPath, message: str) -> Finding:
        return Finding(self.manifest.place(path), path, message)


@dataclass(frozen=True)
class Said:
    """What the caller says: `rto`, seconds that a failover may take."""

    rto: float = UNSAID_RTO


@dataclass(frozen=True)
class MetricsConfig:
    """Everything that was read. `clusters` have the Nodes and Services."""

    scrapers: tuple[Scraper, ...] = ()
    parts: tuple[Part, ...] = ()
    endpoints: tuple[Listing, ...] = ()
    stores: tuple[Listing, ...] = ()
    clusters: tuple[ClusterConfig, ...] = ()
    said: Said = Said()

    def queriers(self) -> Iterator[Part]:
        return (part for part in self.parts if part.component == "query")

    def sidecars(self) -> Iterator[Part]:
        return (part for part in self.parts if part.component == "sidecar")

    @property
    def empty(self) -> bool:
        return not (self.scrapers or self.parts or self.endpoints or self.stores)
