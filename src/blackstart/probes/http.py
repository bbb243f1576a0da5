"""`http`: one look at an HTTP server: its status, its latency, or a field of its JSON answer."""

from __future__ import annotations

import json
import time
from typing import Literal, Self

from pydantic import model_validator

from blackstart.evidence.records import Reason
from blackstart.fleet import web
from blackstart.fleet.model import Place
from blackstart.probes.base import Look, NoData, ProbeSpec, Scope, Value
from blackstart.probes.errors import no_data, status_reason
from blackstart.probes.field import FieldPath, field


class Spec(ProbeSpec):
    """Asks `url` from `place`, or a service: its entry, or each region's own entry (one key per region).

    `measure` status: the HTTP status, whatever it is. latency: seconds to a
    complete 2xx answer. field: the number at `field` in a 2xx JSON answer.
    """

    kind: Literal["http"] = "http"
    url: str | None = None
    place: str | None = None
    service: str | None = None
    entry: Literal["entry", "direct"] = "entry"
    measure: Literal["status", "latency", "field"] = "status"
    field: FieldPath | None = None
    absent: float | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.url is None) == (self.service is None):
            raise ValueError("needs either `url` (and `place`) or `service`")
        if (self.url is None) != (self.place is None):
            raise ValueError("`url` and `place` go together")
        if (self.measure == "field") != (self.field is not None):
            raise ValueError("`measure: field` and `field` go together")
        return self


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look for each URL."""
    urls = {key: (url, _place(scope, place)) for key, (url, place) in _urls(spec, scope).items()}
    return {key: _look(spec, url, place) for key, (url, place) in urls.items()}


def _urls(spec: Spec, scope: Scope) -> dict[str, tuple[str, str]]:
    if spec.url is not None and spec.place is not None:
        return {"": (spec.url, spec.place)}
    name = scope.resolve(spec.service or "")
    service = scope.fleet.services.get(name)
    if service is None:
        raise NoData(Reason.MALFORMED, f"{name!r} is not a service of fleet {scope.fleet.fleet!r}")
    if spec.entry == "entry":
        return {"": (service.entry.url, service.entry.place)}
    if not service.direct:
        raise NoData(Reason.MALFORMED, f"service {name!r} has no direct entries")
    return {region: (entry.url, entry.place) for region, entry in service.direct.items()}


def _place(scope: Scope, name: str) -> Place:
    if name not in scope.fleet.places:
        raise NoData(Reason.MALFORMED, f"{name!r} is not a place of fleet {scope.fleet.fleet!r}")
    return scope.fleet.places[name]


async def _look(spec: Spec, url: str, place: Place) -> Value:
    started = time.monotonic()
    answer = await _get(url, place)
    latency = time.monotonic() - started
    if spec.measure == "status":
        return Value(float(answer.status), age=0.0)
    if not answer.good:
        raise NoData(status_reason(answer.status), f"{url} answered HTTP {answer.status}")
    if spec.field is None:
        return Value(latency, age=0.0)
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise NoData(Reason.MALFORMED, f"{url} did not answer JSON: {error}") from None
    return Value(field(document, spec.field, spec.absent), age=0.0)


async def _get(url: str, place: Place) -> web.Answer:
    try:
        web.check_host(url, place)
        async with web.Session(place, keep=False) as client:
            return await client.get(url)
    except (web.BadAnswer, OSError) as error:
        raise no_data(error) from error
    except ValueError as error:
        raise NoData(Reason.MALFORMED, str(error)) from None
