"""`promql`: the value of a query, only from an answer that is whole, fresh, and from the right Prometheus.

A 200 from Prometheus or Thanos is no proof: a lost store may be a mere
warning, a lost series an empty answer, a frozen region an old sample, a
swapped address another region's numbers. So each look asks for the age of the
raw series that the value is made of, and for those whom a global view stands
on. Beside the reading stands what a plain query would have made of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import Any, Literal

from pydantic import Field

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Prometheus
from blackstart.probes import promql_client, promql_sources
from blackstart.probes.base import Look, NoData, ProbeSpec, Scope, Value
from blackstart.probes.field import number
from blackstart.probes.promql_client import Labels, Result
from blackstart.probes.threads import in_thread
from blackstart.schema.base import Seconds

_REGION, _FRESH = "$region", "$fresh"
_GONE = 2.0
"""Times `max_age`: `$fresh` leaves out series whose newest sample is older. Between the two nobody can tell."""
_SHARE = 0.9
"""Of the deadline, for the questions: what was answered by then is still told."""


class Spec(ProbeSpec):
    """A query that gives one value, and `fresh`: a selector of the raw series behind it.

    `$region` in either stands for a region's name. `at: regions` asks each
    region's own Prometheus (key: the region). `at: fleet` asks the one that
    sees every region, `at: federation` the one that scrapes every region's:
    once per region if the query says `$region`, which keeps a lost region
    from spoiling the others' answers, else once for all.

    The newest sample of every series must be at most `max_age` old: what a
    Prometheus saw before it died stays in its answers for five minutes after
    it is back, beside what took its place. `$fresh` in the query stands for
    the series of `fresh` without those older than twice that: they are gone.
    """

    kind: Literal["promql"] = "promql"
    query: str
    fresh: str
    at: Literal["regions", "fleet", "federation"] = "regions"
    regions: list[str] = []
    max_age: Seconds = Field(default=15.0, gt=0)
    region_label: str = "region"


@dataclass(frozen=True)
class Question:
    """One look: where to ask what, and the regions whose series must be in the answer.

    `plain` is the query as a dashboard would ask it; series older than `gone`, seconds, are not in `query`.
    """

    prometheus: Prometheus
    query: str
    plain: str
    fresh: str
    gone: float
    regions: tuple[str, ...]


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look for each question."""
    return {key: _look(spec, scope, question) for key, question in _questions(spec, scope).items()}


def parts(spec: Spec, scope: Scope) -> list[Spec]:
    """One for each region that is asked about by itself."""
    if not _by_region(spec):
        return [spec]
    return [spec.model_copy(update={"regions": [region]}) for region in scope.regions(spec.regions)]


def _questions(spec: Spec, scope: Scope) -> dict[str, Question]:
    regions = scope.regions(spec.regions)
    if not _by_region(spec):
        return {"": _question(spec, scope, "", tuple(regions))}
    return {region: _question(spec, scope, region, (region,)) for region in regions}


def _by_region(spec: Spec) -> bool:
    return spec.at == "regions" or _REGION in _plain(spec)


def _question(spec: Spec, scope: Scope, region: str, regions: tuple[str, ...]) -> Question:
    prometheus = _prometheus(spec, scope, regions)
    if spec.at != "regions":
        promql_sources.needs(prometheus, regions, federated=spec.at == "federation")
    gone = _GONE * spec.max_age if _FRESH in spec.query else float("inf")
    query, plain, fresh = (text.replace(_REGION, region) for text in (expanded(spec), _plain(spec), spec.fresh))
    return Question(prometheus, query, plain, fresh, gone, regions)


def _plain(spec: Spec) -> str:
    return spec.query.replace(_FRESH, spec.fresh)


def expanded(spec: Spec) -> str:
    """The query with what `$fresh` stands for."""
    young = f"({spec.fresh} and time() - timestamp({spec.fresh}) < {_GONE * spec.max_age:g})"
    return spec.query.replace(_FRESH, young)


def _prometheus(spec: Spec, scope: Scope, regions: tuple[str, ...]) -> Prometheus:
    fleet = scope.fleet
    if spec.at == "regions":
        found, lacking = fleet.regions[regions[0]].prometheus, f"region {regions[0]!r} has no `prometheus`"
    else:
        key = "prometheus" if spec.at == "fleet" else "federation"
        found, lacking = getattr(fleet, key), f"fleet {fleet.fleet!r} as a whole has no `{key}`"
    if found is None:
        raise NoData(Reason.MALFORMED, f"{lacking} in fleet.yaml")
    return found


async def _look(spec: Spec, scope: Scope, question: Question) -> Value:
    """What the value counts for is asked first, all at the same time, then the value.

    The other way round a source that comes back in between would lend its
    freshness to a value that was made without it.
    """
    prometheus, ends = question.prometheus, time.monotonic() + _SHARE * spec.deadline
    place = scope.fleet.places[prometheus.place]

    def ask(text: str) -> Coroutine[Any, Any, Result]:
        return in_thread(lambda: promql_client.query(prometheus, text, ends), place)

    plain, fresh, sources = await asyncio.gather(
        ask(question.plain),
        ask(f"time() - timestamp({question.fresh})"),
        in_thread(_sources(spec, question, ends), place),
        return_exceptions=True,
    )
    claimed = plain.plain if isinstance(plain, Result) else None
    try:
        for failed in (sources, fresh):
            if isinstance(failed, BaseException):
                raise failed
        age = _age(spec, question, fresh)
        return _value(await ask(question.query), age, claimed)
    except NoData as error:
        error.plain = claimed
        raise


def _sources(spec: Spec, question: Question, ends: float) -> Callable[[], None]:
    """What asks after those whom the answer stands on; nobody, for a Prometheus of its own."""
    if spec.at == "federation":
        return lambda: promql_sources.check_jobs(question.prometheus, question.regions, spec.region_label, ends)
    if spec.at == "fleet" and question.prometheus.kind == "thanos":
        return lambda: promql_sources.check_stores(question.prometheus, question.regions, ends)
    return lambda: None


def _value(answer: Result, age: float, plain: float | None) -> Value:
    if answer.warnings:
        raise NoData(Reason.PARTIAL, "; ".join(answer.warnings))
    if not answer.series:
        raise NoData(Reason.EMPTY, "the query gives no series")
    if len(answer.series) > 1:
        raise NoData(Reason.MALFORMED, f"the query gives {len(answer.series)} series; sum() or max() them into one")
    return Value(number(answer.series[0][1], "the value"), age, "; ".join(answer.infos), plain)


def _age(spec: Spec, question: Question, fresh: Result) -> float:
    """The age of the newest sample of the region where it is oldest, seconds. Raises NoData."""
    if fresh.warnings:
        raise NoData(Reason.PARTIAL, "; ".join(fresh.warnings))
    if not fresh.series:
        raise NoData(Reason.EMPTY, f"no series matches {question.fresh}")
    for labels, _ in fresh.series:
        _check_labels(spec, question, labels)
    ages = _ages(spec, question, fresh)
    if absent := [region for region in question.regions if region not in ages]:
        raise NoData(Reason.PARTIAL, f"no series of {', '.join(absent)} matches {question.fresh}")
    region = max(question.regions, key=lambda r: min(ages[r]))
    newest = min(ages[region])
    if newest > spec.max_age:
        detail = f"the newest sample of {region} is {newest:.1f} s old; at most {spec.max_age:g} s is allowed"
        raise NoData(Reason.STALE, detail)
    _refuse_lingering(spec, question, list(chain.from_iterable(ages.values())))
    return max(newest, 0.0)


def _refuse_lingering(spec: Spec, question: Question, ages: list[float]) -> None:
    """Raises NoData when a series behind the value is old, though its region tells anew: it may be gone, or late."""
    if old := [age for age in ages if spec.max_age < age < question.gone]:
        what = f"{len(old)} of {len(ages)} series behind the value are older than {spec.max_age:g} s"
        hint = "" if isfinite(question.gone) else "; `$fresh` in the query leaves out what is gone"
        raise NoData(Reason.STALE, f"{what} ({max(old):.1f} s): they may be of what is gone{hint}")


def _ages(spec: Spec, question: Question, fresh: Result) -> dict[str, list[float]]:
    """The ages of each region's series, seconds.

    A region's own Prometheus need not label its series with the region: its
    API leaves external labels out.
    """
    own = question.regions[0] if spec.at == "regions" else ""
    ages: dict[str, list[float]] = {}
    for labels, age in fresh.series:
        region = labels.get(spec.region_label, own)
        if own and region != own:
            raise NoData(Reason.MALFORMED, f"asked {own}'s Prometheus, answered by one with series of {region}")
        ages.setdefault(region, []).append(number(age, "the age of a sample"))
    return ages


def _check_labels(spec: Spec, question: Question, labels: Labels) -> None:
    for name, value in question.prometheus.labels.items():
        if labels.get(name) != value:
            wrong = f"{name}={labels.get(name)!r} instead of {value!r}"
            raise NoData(Reason.MALFORMED, f"a series carries {wrong}: is this the right Prometheus?")
    own = f"exported_{spec.region_label}"
    if spec.at == "federation" and own in labels:
        wrong = f"a series of {labels[own]} is told as one of {labels.get(spec.region_label)}"
        raise NoData(Reason.MALFORMED, f"{wrong}: the scrape's labels win; set honor_labels: true")
