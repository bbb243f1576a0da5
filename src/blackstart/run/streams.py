"""Which client streams a drill runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from blackstart.evidence.records import Stream
from blackstart.fleet.model import Entry, Fleet
from blackstart.schema.drill import Client

DIRECT_INTERVAL = 0.1
"""Seconds between requests to a region's own entry: guards and control, not the measurement itself."""


def client_streams(client: Client, fleet: Fleet, services: Mapping[str, str]) -> dict[str, tuple[Stream, Entry]]:
    """The streams of the services (role -> name) by name, with the entry that each asks.

    Per service: its entry on fresh and on kept connections, at the client's
    interval; each region's own entry on fresh connections, at DIRECT_INTERVAL
    or the client's interval if that is longer.
    """
    streams: dict[str, tuple[Stream, Entry]] = {}
    for name in dict.fromkeys(services.values()):
        service = fleet.services[name]
        for connection in ("fresh", "kept"):
            stream = _stream(name, None, connection, client, client.interval)
            streams[stream.name] = (stream, service.entry)
        for region, entry in service.direct.items():
            stream = _stream(name, region, "fresh", client, max(DIRECT_INTERVAL, client.interval))
            streams[stream.name] = (stream, entry)
    return streams


def _stream(
    service: str, region: str | None, connection: Literal["fresh", "kept"], client: Client, interval: float
) -> Stream:
    return Stream(
        name=f"{service}/direct/{region}" if region else f"{service}/entry/{connection}",
        service=service,
        kind="direct" if region else "entry",
        region=region,
        connection=connection,
        interval=interval,
        timeout=client.timeout,
    )
