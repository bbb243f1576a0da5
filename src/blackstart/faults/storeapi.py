"""The store of a Thanos sidecar, as a client and as the querier see it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from blackstart.faults.base import FaultError
from blackstart.fleet.dial import dial
from blackstart.fleet.model import Endpoint, Fleet
from blackstart.fleet.places import inside
from blackstart.probes import admin
from blackstart.probes.base import NoData

_LOOK = 1.0
_ASK = 3.0
_STORES = "/api/v1/stores"
# What a client of HTTP/2 begins with, and empty settings; a server answers with its own, or with an alert of TLS.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def answers(fleet: Fleet, place: str, address: str) -> bool:
    """Whether a server at host:port takes a new connection from `place` and says something there."""
    host, _, port = address.rpartition(":")
    try:
        with closing(dial(fleet.places[place], host, int(port), _LOOK)) as sock:
            sock.sendall(_HELLO)
            return bool(sock.recv(1))
    except OSError:
        return False


def querier(fleet: Fleet, region: str) -> str | None:
    """The URL of the Thanos that must have asked a region's store; None where fleet.yaml names none."""
    found = fleet.prometheus
    return found.url if found and found.kind == "thanos" and region in found.stores else None


def trouble(fleet: Fleet, region: str) -> str:
    """Why the querier does not get through to a region's store; empty when it does. Raises FaultError."""
    thanos = fleet.prometheus
    assert thanos is not None, "ask `querier` first"  # noqa: S101 - a mistake of the caller
    store = thanos.stores[region]
    headers = {"Authorization": f"Bearer {thanos.token.reveal()}"} if thanos.token else {}
    try:
        with inside(fleet.places[thanos.place]):
            (page,) = admin.ask(Endpoint(url=thanos.url, place=thanos.place), [_STORES], _ASK, headers)
        known: dict[str, Any] = {s["name"]: s for kind in page.document()["data"].values() for s in kind or ()}
    except (NoData, OSError) as error:
        raise FaultError(f"the Thanos at {thanos.url} cannot be asked of its stores: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise FaultError(f"{thanos.url}{_STORES}: not an answer of Thanos: {error!r}") from None
    if store not in known:
        return f"{store} is not among its stores"
    return str(known[store].get("lastError") or "")
