"""`http`: one look at an HTTP server: its status, its latency, or a field of its JSON answer."""

from __future__ import annotations

import json
import time
from typing import Literal, Self

from pydantic import model_validator

from blackstart.evidence.records import Reason
from blackstart.fleet import web
from blackstart.fleet.headers import revealed
from blackstart.fleet.model import Entry, Place
from blackstart.probes.base import Look, NoData, ProbeSpec, Scope, Value
from blackstart.probes.errors import no_data, status_reason
from blackstart.probes.field import FieldPath, field
from blackstart.probes.sampler import served_by
from blackstart.schema.secret import SecretError


class Spec(ProbeSpec):
    """Asks `url` from `place`, or a service: its entry, or each region's own entry (one key per region).

    `measure` status: the HTTP status, whatever it is. latency: seconds to a
    complete 2xx answer. field: the number at `field` in a 2xx JSON answer.
    served: 1 where a 2xx answer of a service says that region `of` gave it,
    0 where it names another one.
    """

    kind: Literal["http"] = "http"
    url: str | None = None
    place: str | None = None
    service: str | None = None
    entry: Literal["entry", "direct"] = "entry"
    measure: Literal["status", "latency", "field", "served"] = "status"
    of: str | None = None
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
        if (self.measure == "served") != (self.of is not None):
            raise ValueError("`measure: served` and `of`, the role of a region, go together")
        if self.of is not None and self.service is None:
            raise ValueError("`measure: served` needs `service`: its entry says where answers name the region")
        return self


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look for each entry."""
    of = scope.regions([spec.of])[0] if spec.of is not None else ""
    entries = {key: (entry, _place(scope, entry.place)) for key, entry in _entries(spec, scope).items()}
    return {key: _look(spec, entry, place, of) for key, (entry, place) in entries.items()}


def _entries(spec: Spec, scope: Scope) -> dict[str, Entry]:
    if spec.url is not None and spec.place is not None:
        return {"": Entry(url=spec.url, place=spec.place)}
    name = scope.resolve(spec.service or "")
    service = scope.fleet.services.get(name)
    if service is None:
        raise NoData(Reason.MALFORMED, f"{name!r} is not a service of fleet {scope.fleet.fleet!r}")
    if spec.entry == "entry":
        return {"": service.entry}
    if not service.direct:
        raise NoData(Reason.MALFORMED, f"service {name!r} has no direct entries")
    return dict(service.direct)


def _place(scope: Scope, name: str) -> Place:
    if name not in scope.fleet.places:
        raise NoData(Reason.MALFORMED, f"{name!r} is not a place of fleet {scope.fleet.fleet!r}")
    return scope.fleet.places[name]


async def _look(spec: Spec, entry: Entry, place: Place, of: str) -> Value:
    url, started = entry.url, time.monotonic()
    answer = await _get(entry, place)
    latency = time.monotonic() - started
    if spec.measure == "status":
        return Value(float(answer.status), age=0.0)
    if not answer.good:
        raise NoData(status_reason(answer.status), f"{url} answered HTTP {answer.status}")
    if spec.measure == "served":
        return _served(entry, answer, of)
    if spec.field is None:
        return Value(latency, age=0.0)
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise NoData(Reason.MALFORMED, f"{url} did not answer JSON: {error}") from None
    return Value(field(document, spec.field, spec.absent), age=0.0)


def _served(entry: Entry, answer: web.Answer, of: str) -> Value:
    region = served_by(answer.body, entry.region_key)
    if region is None:
        raise NoData(Reason.MALFORMED, f"{entry.url}: no text at {entry.region_key!r} says which region answered")
    return Value(float(region == of), age=0.0, detail=f"served by {region}")


async def _get(entry: Entry, place: Place) -> web.Answer:
    try:
        web.check_host(entry.url, place)
        async with web.Session(place, keep=False) as client:
            return await client.get(entry.url, revealed(entry.headers))
    except (web.BadAnswer, OSError) as error:
        raise no_data(error) from error
    except (ValueError, SecretError) as error:
        raise NoData(Reason.MALFORMED, str(error)) from None
