"""Asks a fleet's Prometheuses for their configuration, and its querier for its options; changes nothing."""

from __future__ import annotations

import json
from typing import Any

import requests
import urllib3

from blackstart.fleet.metrics import Prometheus
from blackstart.fleet.model import Fleet
from blackstart.fleet.places import inside
from blackstart.plan.metrics.check import Source
from blackstart.plan.metrics.model import Flag, MetricsConfig, Part, Said, Scraper
from blackstart.schema.errors import ContentError, Finding, Place
from blackstart.schema.manifests import Manifest, read_documents

_DEADLINE = 5.0
_MAX_BODY = 4 << 20
_GLOBAL = "outside"
"""The cluster of what fleet.yaml names for no region."""


def read_fleet(fleet: Fleet, said: Said) -> Source:
    """What a fleet's metrics are configured to do now. Raises ContentError when one does not tell: no proof."""
    scrapers: list[Scraper] = []
    parts: list[Part] = []
    problems: list[Finding] = []
    asked = {f"regions.{name}.prometheus": (name, one.prometheus) for name, one in fleet.regions.items()}
    asked |= {"prometheus": (_GLOBAL, fleet.prometheus), "federation": (_GLOBAL, fleet.federation)}
    for key, (cluster, prometheus) in asked.items():
        if prometheus is None:
            continue
        place = Place(f"{fleet.source or fleet.fleet}: {key}")
        try:
            if prometheus.kind == "thanos":
                parts.append(_querier(fleet, prometheus, place))
            else:
                scrapers += _scraper(fleet, prometheus, cluster, key, place)
        except (OSError, ValueError, requests.RequestException, urllib3.exceptions.HTTPError) as error:
            text = f"{prometheus.url} does not tell its configuration: {type(error).__name__}: {error}"
            problems.append(Finding(place, (), text))
    if problems:
        raise ContentError(problems)
    if not scrapers and not parts:
        place = Place(str(fleet.source or fleet.fleet))
        raise ContentError([Finding(place, (), "has no `prometheus`: there is nothing to check", "describe it")])
    return Source(MetricsConfig(tuple(scrapers), tuple(parts), said=said), f"{len(scrapers) + len(parts)} servers")


def _scraper(fleet: Fleet, prometheus: Prometheus, cluster: str, name: str, place: Place) -> list[Scraper]:
    found = _get(fleet, prometheus, "status/config")
    text = found.get("yaml") if isinstance(found, dict) else None
    documents, wrong = read_documents(str(text or ""), place, 1)
    if len(documents) != 1 or wrong:
        raise ValueError("its answer is not the configuration of a Prometheus")
    # Lines are of what it answered: no file has them.
    return [Scraper(name, cluster, Manifest(documents[0].data, {}, place))]


def _querier(fleet: Fleet, prometheus: Prometheus, place: Place) -> Part:
    found = _get(fleet, prometheus, "status/flags")
    if not isinstance(found, dict):
        raise ValueError("its answer has no flags")
    # A repeated flag is one with commas; one that is not set is there, too, and empty.
    flags = [
        Flag(name, value, ("flags", name))
        for name, values in found.items()
        for value in str(values).split(",")
        if value not in ("", "[]", "0s")
    ]
    return Part("query", "thanos", _GLOBAL, "", tuple(flags), (), Manifest({}, {}, place))


def _get(fleet: Fleet, prometheus: Prometheus, path: str) -> Any:
    """The data of an answer, asked from where fleet.yaml says. Raises OSError, ValueError, RequestException."""
    headers = {"Authorization": f"Bearer {prometheus.token.reveal()}"} if prometheus.token else {}
    url = f"{prometheus.url.rstrip('/')}/api/v1/{path}"
    with inside(fleet.places[prometheus.place]), requests.Session() as session:
        session.trust_env = False
        with session.get(url, headers=headers, timeout=_DEADLINE, allow_redirects=False, stream=True) as answer:
            answer.raise_for_status()
            body = answer.raw.read(_MAX_BODY + 1, decode_content=True)
    if len(body) > _MAX_BODY:
        raise ValueError(f"its answer is longer than {_MAX_BODY} bytes")
    found = json.loads(body)
    if not isinstance(found, dict) or "data" not in found:
        raise ValueError("its answer has no data")
    return found["data"]
