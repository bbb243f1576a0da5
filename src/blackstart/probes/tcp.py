"""`tcp`: how long a TCP connection takes to open, seconds."""

from __future__ import annotations

import time
from typing import Literal, Self

from pydantic import model_validator

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Place
from blackstart.fleet.sockets import connect
from blackstart.probes.base import Look, NoData, ProbeSpec, Scope, Value
from blackstart.probes.errors import no_data


class Spec(ProbeSpec):
    """Connects from `place` to `address` (an IP address and port), or over every path of a link of the fleet."""

    kind: Literal["tcp"] = "tcp"
    address: str | None = None
    place: str | None = None
    link: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.address is None) == (self.link is None):
            raise ValueError("needs either `address` (and `place`) or `link`")
        if (self.address is None) != (self.place is None):
            raise ValueError("`address` and `place` go together")
        return self


def looks(spec: Spec, scope: Scope) -> dict[str, Look]:
    """One look for each path; its key is `place->address`."""
    paths = _paths(spec, scope)
    for place, _ in paths:
        if place not in scope.fleet.places:
            raise NoData(Reason.MALFORMED, f"{place!r} is not a place of fleet {scope.fleet.fleet!r}")
    return {f"{place}->{address}": _look(scope.fleet.places[place], address) for place, address in paths}


def _paths(spec: Spec, scope: Scope) -> list[tuple[str, str]]:
    if spec.address is not None and spec.place is not None:
        return [(spec.place, spec.address)]
    link = scope.fleet.links.get(spec.link or "")
    if link is None:
        known = ", ".join(scope.fleet.links) or "none"
        raise NoData(Reason.MALFORMED, f"{spec.link!r} is not a link of fleet {scope.fleet.fleet!r}; known: {known}")
    return [(path.place, path.address) for path in link.paths]


async def _look(place: Place, address: str) -> Value:
    started = time.monotonic()
    try:
        sock = await connect(place, address)
    except OSError as error:
        raise no_data(error) from error
    except ValueError as error:
        raise NoData(Reason.MALFORMED, str(error)) from None
    sock.close()
    return Value(time.monotonic() - started, age=0.0)
