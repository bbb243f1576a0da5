"""A lab with global metrics, asked as a person with curl would: no probe of this project in between."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from blackstart.fleet.metrics import Prometheus
from blackstart.fleet.model import Fleet
from blackstart.lab.api import Request, ask

AGES = 'time() - max by (region)(timestamp(up{job="prometheus"}))'
BY_REGION = "count by (region)(up{region!=''})"


@dataclass(frozen=True)
class Said:
    """An answer, whatever it is. `took`: seconds until it came."""

    status: int
    took: float
    series: list[tuple[dict[str, str], float]]
    warnings: list[str]
    error: str

    def by(self, label: str) -> dict[str, float]:
        """The value for each value of a label."""
        return {labels[label]: value for labels, value in self.series}


def thanos(lab: Fleet, query: str, **parameters: str) -> Said:
    """What the querier answers. `partial_response="false"` among the parameters refuses holes. Raises OSError."""
    assert lab.prometheus is not None
    return _ask(lab, lab.prometheus, query, parameters)


def federation(lab: Fleet, query: str) -> Said:
    """What the federating Prometheus answers. Raises OSError."""
    assert lab.federation is not None
    return _ask(lab, lab.federation, query, {})


def whole(lab: Fleet, ask: Callable[[Fleet, str], Said]) -> bool:
    """Whether a view shows every region now, as fresh as can be, and has no reserve."""
    try:
        said = ask(lab, AGES)
    except OSError:
        return False
    fresh = said.by("region") if said.status == 200 else {}
    return not said.warnings and set(fresh) == set(lab.regions) and max(fresh.values()) < 5.0


def settled(lab: Fleet) -> bool:
    """Whether both views are whole, and the querier, which looks every 5 s, says so of its stores."""
    views = whole(lab, thanos) and whole(lab, federation)
    return views and [store["lastError"] for store in stores(lab).values()] == [None] * len(lab.regions)


def stores(lab: Fleet) -> dict[str, dict[str, Any]]:
    """Region -> what the querier says of its store; regions whose store it does not know are absent."""
    assert lab.prometheus is not None
    status, body = _get(lab, lab.prometheus, "/api/v1/stores")
    assert status == 200, body
    found = {store["name"]: store for kind in json.loads(body)["data"].values() for store in kind or ()}
    return {region: found[name] for region, name in lab.prometheus.stores.items() if name in found}


def scraped(lab: Fleet) -> dict[str, float]:
    """Region -> `up` of the job that federates it: 1 while its Prometheus answers."""
    assert lab.federation is not None
    ups = federation(lab, 'up{job=~"federate-.*"}').by("job")
    return {region: ups[job] for region, job in lab.federation.jobs.items()}


def _ask(lab: Fleet, prometheus: Prometheus, query: str, parameters: dict[str, str]) -> Said:
    begun = time.monotonic()
    status, body = _get(lab, prometheus, f"/api/v1/query?{urlencode({'query': query, **parameters})}")
    took = time.monotonic() - begun
    answer = json.loads(body)
    series = [(s["metric"], float(s["value"][1])) for s in (answer.get("data") or {}).get("result") or ()]
    return Said(status, took, series, answer.get("warnings") or [], answer.get("error") or "")


def _get(lab: Fleet, prometheus: Prometheus, path: str) -> tuple[int, bytes]:
    url = urlsplit(prometheus.url)
    place = lab.places[prometheus.place]
    return ask(place, (str(url.hostname), int(url.port or 80)), Request("GET", path), 20.0)
