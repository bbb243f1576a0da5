"""Whether those whom a global view stands on took part in its answer: Thanos's stores, a federation's jobs.

A store that is lost leaves a hole, a federated series outlives its source for
five minutes: neither shows in the value itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Prometheus
from blackstart.probes import promql_client
from blackstart.probes.base import NoData
from blackstart.probes.promql_client import Answer, Result

CHECK_AGE = 7.0
"""Seconds since Thanos last heard a store: it asks every 5 s, and calls one lost only up to 5 s later."""

_STORES = "/api/v1/stores"


def needs(prometheus: Prometheus, regions: Sequence[str], federated: bool) -> None:
    """fleet.yaml must say who is expected to answer for each region. Raises NoData."""
    key, known = ("jobs", prometheus.jobs) if federated else ("stores", prometheus.stores)
    if (federated or prometheus.kind == "thanos") and (absent := [r for r in regions if r not in known]):
        detail = f"fleet.yaml names no one under `{key}` that answers for {', '.join(absent)}"
        raise NoData(Reason.MALFORMED, detail)


def check_stores(prometheus: Prometheus, regions: Sequence[str], ends: float) -> None:
    """Every region's store is in the querier's set, answers it, and did so just now; blocking. Raises NoData."""
    judge_stores(prometheus, regions, promql_client.get(prometheus, _STORES, ends))


def judge_stores(prometheus: Prometheus, regions: Sequence[str], answer: Answer) -> None:
    """As `check_stores`, of an answer that is there. Raises NoData."""
    found = _by_name(answer.data)
    for region in regions:
        name = prometheus.stores[region]
        store = found.get(name)
        if store is None:
            raise NoData(Reason.PARTIAL, f"the store of {region}, {name}, is not among those that Thanos asks")
        if (error := store.get("lastError")) is not None:
            raise NoData(Reason.PARTIAL, f"the store of {region}, {name}: {error}")
        age = _since(store.get("lastCheck"), answer.at)
        if age > CHECK_AGE:
            raise NoData(Reason.PARTIAL, f"the store of {region}, {name}, has not been heard of for {age:.1f} s")


def check_jobs(prometheus: Prometheus, regions: Sequence[str], region_label: str, ends: float) -> None:
    """The global Prometheus gets through to every region's; blocking. Raises NoData."""
    jobs = {prometheus.jobs[region]: region for region in regions}
    asked = " or ".join(f"up{{job={json.dumps(job)}}}" for job in jobs)
    judge_jobs(jobs, region_label, promql_client.query(prometheus, asked, ends))


def judge_jobs(jobs: dict[str, str], region_label: str, answer: Result) -> None:
    """As `check_jobs`, of an answer that is there; `jobs`: job -> region. Raises NoData."""
    if answer.warnings:
        raise NoData(Reason.PARTIAL, "; ".join(answer.warnings))
    for job, region in jobs.items():
        found = [(labels, value) for labels, value in answer.series if labels.get("job") == job]
        if not found:
            raise NoData(Reason.PARTIAL, f"nobody scrapes {region}'s Prometheus as job {job!r}")
        for labels, value in found:
            if labels.get(region_label, region) != region:
                wrong = f"job {job!r} should be {region}'s and carries {region_label}={labels[region_label]!r}"
                raise NoData(Reason.MALFORMED, f"{wrong}: is the right Prometheus behind it?")
            if value != "1":
                # Its series stay in the answers for five minutes, unchanged.
                raise NoData(Reason.STALE, f"{region}'s Prometheus does not answer job {job!r}")


def _by_name(data: Any) -> dict[str, dict[str, Any]]:
    """The stores of every type, by their address."""
    try:
        return {str(store["name"]): dict(store) for stores in data.values() for store in stores or ()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NoData(Reason.MALFORMED, f"{_STORES}: not an answer of Thanos: {error!r}") from None


def _since(checked: Any, at: datetime | None) -> float:
    """Seconds; both are times of the server's clock, of which `at` tells no fractions."""
    if at is None:
        raise NoData(Reason.MALFORMED, f"{_STORES}: the answer has no Date")
    try:
        return (at - datetime.fromisoformat(str(checked))).total_seconds()
    except (ValueError, TypeError):
        raise NoData(Reason.MALFORMED, f"{_STORES}: no time: {str(checked)[:40]!r}") from None
