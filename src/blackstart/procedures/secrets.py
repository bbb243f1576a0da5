"""Keeps the fleet's secrets out of what others print."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.fleet.model import Fleet
from blackstart.schema.errors import BlackstartError
from blackstart.schema.secret import Secret


def hide(fleet: Fleet, text: str) -> str:
    """The text with every secret of the fleet's stores and Prometheus replaced by its reference."""
    for secret in _secrets(fleet):
        try:
            text = text.replace(secret.reveal(), str(secret))
        except BlackstartError:
            # What cannot be read cannot have been printed.
            continue
    return text


def _secrets(fleet: Fleet) -> Iterator[Secret]:
    for store in fleet.stores.values():
        for login in (store.reader, store.admin, store.replication):
            if login and login.password:
                yield login.password
    for prometheus in (fleet.prometheus, *(region.prometheus for region in fleet.regions.values())):
        if prometheus and prometheus.token:
            yield prometheus.token
