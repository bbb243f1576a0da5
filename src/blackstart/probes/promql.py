"""`promql`: the value of a query, only from an answer that is whole, fresh, and from the right Prometheus.

A 200 from Prometheus or Thanos is no proof: a lost store may be a mere
warning, a lost series an empty answer, a frozen region an old sample, a
swapped address another region's numbers. So each look asks twice: for the
value, and for the age of the raw series that it is made of.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import requests
import urllib3
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect
from pydantic import Field

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Prometheus
from blackstart.probes.base import Look, NoData, ProbeSpec, Scope, Value
from blackstart.probes.errors import status_reason
from blackstart.probes.field import number
from blackstart.probes.threads import in_thread
from blackstart.schema.base import Seconds

_REGION = "$region"
_MAX_BODY = 4 << 20

Labels = dict[str, str]


class Spec(ProbeSpec):
    """A query that gives one value, and `fresh`: a selector of the raw series behind it.

    `$region` in either stands for a region's name. `at: regions` asks each
    region's own Prometheus (key: the region). `at: fleet` asks the one that
    sees every region: once per region if the query says `$region`, which
    keeps a lost region from spoiling the others' answers, else once for all.
    The newest sample of each region must be at most `max_age` old.
    """

    kind: Literal["promql"] = "promql"
    query: str
    fresh: str
    at: Literal["regions", "fleet"] = "regions"
    regions: list[str] = []
    max_age: Seconds = Field(default=15.0, gt=0)
    region_label: str = "region"


@dataclass(frozen=True)
class Result:
    """What Prometheus answered: labels and value of each series, and what it said besides."""

    series: list[tuple[Labels, str]]
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """One look: where to ask what, and the regions whose series must be in the answer."""

    prometheus: Prometheus
    query: str
    fresh: str
    regions: tuple[str, ...]


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look for each question."""
    return {key: _look(spec, scope, question) for key, question in _questions(spec, scope).items()}


def _questions(spec: Spec, scope: Scope) -> dict[str, Question]:
    regions = scope.regions(spec.regions)
    if spec.at == "fleet" and _REGION not in spec.query:
        return {"": Question(_prometheus(scope, None), spec.query, spec.fresh, tuple(regions))}
    return {
        region: Question(
            _prometheus(scope, region if spec.at == "regions" else None),
            spec.query.replace(_REGION, region),
            spec.fresh.replace(_REGION, region),
            (region,),
        )
        for region in regions
    }


def _prometheus(scope: Scope, region: str | None) -> Prometheus:
    found = scope.fleet.prometheus if region is None else scope.fleet.regions[region].prometheus
    if found is None:
        where = f"region {region!r}" if region else f"fleet {scope.fleet.fleet!r} as a whole"
        raise NoData(Reason.MALFORMED, f"{where} has no `prometheus` in fleet.yaml")
    return found


async def _look(spec: Spec, scope: Scope, question: Question) -> Value:
    place = scope.fleet.places[question.prometheus.place]
    fresh, answer = await in_thread(lambda: _ask(question, spec.deadline), place)
    age = _age(spec, question, fresh)
    return _value(answer, age)


def _value(answer: Result, age: float) -> Value:
    if answer.warnings:
        raise NoData(Reason.PARTIAL, "; ".join(answer.warnings))
    if not answer.series:
        raise NoData(Reason.EMPTY, "the query gives no series")
    if len(answer.series) > 1:
        raise NoData(Reason.MALFORMED, f"the query gives {len(answer.series)} series; sum() or max() them into one")
    return Value(number(answer.series[0][1], "the value"), age, "; ".join(answer.infos))


def _age(spec: Spec, question: Question, fresh: Result) -> float:
    """The age of the newest sample of the region where it is oldest, seconds. Raises NoData."""
    if fresh.warnings:
        raise NoData(Reason.PARTIAL, "; ".join(fresh.warnings))
    if not fresh.series:
        raise NoData(Reason.EMPTY, f"no series matches {question.fresh}")
    _check_labels(question.prometheus.labels, (labels for labels, _ in fresh.series))
    ages = _ages(spec, question, fresh)
    if absent := [region for region in question.regions if region not in ages]:
        raise NoData(Reason.PARTIAL, f"no series of {', '.join(absent)} matches {question.fresh}")
    region = max(question.regions, key=lambda r: ages[r])
    if ages[region] > spec.max_age:
        detail = f"the newest sample of {region} is {ages[region]:.1f} s old; at most {spec.max_age:g} s is allowed"
        raise NoData(Reason.STALE, detail)
    return max(ages[region], 0.0)


def _ages(spec: Spec, question: Question, fresh: Result) -> dict[str, float]:
    """The age of the newest sample of each region.

    A region's own Prometheus need not label its series with the region: its
    API leaves external labels out.
    """
    own = question.regions[0] if spec.at == "regions" else ""
    ages: dict[str, float] = {}
    for labels, age in fresh.series:
        region = labels.get(spec.region_label, own)
        if own and region != own:
            raise NoData(Reason.MALFORMED, f"asked {own}'s Prometheus, answered by one with series of {region}")
        ages[region] = min(number(age, "the age of a sample"), ages.get(region, float("inf")))
    return ages


def _check_labels(expected: Labels, found: Iterable[Labels]) -> None:
    for labels in found:
        for name, value in expected.items():
            if labels.get(name) != value:
                wrong = f"{name}={labels.get(name)!r} instead of {value!r}"
                raise NoData(Reason.MALFORMED, f"a series carries {wrong}: is this the right Prometheus?")


def _ask(question: Question, deadline: float) -> tuple[Result, Result]:
    """Both answers within `deadline` seconds; blocking. Raises NoData."""
    ends = time.monotonic() + deadline
    with requests.Session() as session:
        session.trust_env = False
        session.max_redirects = 0
        fresh = _query(session, question.prometheus, f"time() - timestamp({question.fresh})", ends)
        return fresh, _query(session, question.prometheus, question.query, ends)


def _query(session: requests.Session, prometheus: Prometheus, query: str, ends: float) -> Result:
    heard = _Hook(ends)
    session.hooks["response"] = [heard]
    headers = {"Authorization": f"Bearer {prometheus.token.reveal()}"} if prometheus.token else {}
    left = max(ends - time.monotonic(), 0.001)
    # retry=0: its default is three more attempts with a pause between them.
    client: Any = PrometheusConnect(prometheus.url.rstrip("/"), headers, retry=0, session=session)
    try:
        client.custom_query(query, timeout=left)
    except PrometheusApiClientException:
        raise NoData(_query_reason(heard), f"HTTP {heard.status}: {heard.error}") from None
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise NoData(Reason.TIMEOUT, type(error).__name__) from None
    except requests.exceptions.SSLError as error:
        raise NoData(Reason.MALFORMED, str(error)) from None
    except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
        raise NoData(Reason.REFUSED, str(error)) from None
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        raise NoData(Reason.MALFORMED, f"not an answer of Prometheus: {error!r}") from None
    return heard.result()


class _Hook:
    """Reads an answer for a requests session, bounded, and keeps what prometheus-api-client drops of it."""

    def __init__(self, ends: float) -> None:
        self._ends = ends
        self.status = 0
        self._body = b""

    def __call__(self, response: requests.Response, *_: Any, **__: Any) -> requests.Response:
        self.status = response.status_code
        with response:
            self._body = self._read(response)
        whole = requests.Response()
        whole.status_code, whole.headers, whole.url = response.status_code, response.headers, response.url
        whole.headers.pop("Content-Encoding", None)
        whole.raw = BytesIO(self._body)
        return whole

    def _read(self, response: requests.Response) -> bytes:
        body = b""
        while part := response.raw.read1(1 << 16, decode_content=True):
            body += part
            if len(body) > _MAX_BODY:
                raise NoData(Reason.MALFORMED, f"the answer is longer than {_MAX_BODY} bytes; narrow the query")
            if time.monotonic() > self._ends:
                raise NoData(Reason.TIMEOUT, "the answer did not end in time")
        return body

    @property
    def error(self) -> str:
        """What Prometheus says went wrong, or the beginning of whatever answered in its place."""
        with suppress(ValueError, TypeError, KeyError):
            return str(json.loads(self._body)["error"])
        return self._body[:200].decode(errors="replace")

    def result(self) -> Result:
        """The answer. Raises NoData."""
        try:
            answer = json.loads(self._body)
            data = answer["data"]
            return Result(_series(data), tuple(answer.get("warnings") or ()), tuple(answer.get("infos") or ()))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise NoData(Reason.MALFORMED, f"not an answer of Prometheus: {error!r}") from None


def _series(data: Any) -> list[tuple[Labels, str]]:
    if data["resultType"] in ("scalar", "string"):
        return [({}, str(data["result"][1]))]
    return [(dict(s["metric"]), str(s["value"][1])) for s in data["result"]]


def _query_reason(heard: _Hook) -> Reason:
    # 422: understood and not answered, as by a Thanos that may not be partial and has lost a store.
    return Reason.REFUSED if heard.status == 422 else status_reason(heard.status)
