"""Whether retries hide the loss of hosts from clients: yes, no, or perhaps (None)."""

from __future__ import annotations

from blackstart.plan.forecast.settings import Clients, Retries

_BACK_OFF = 0.025
"""Envoy's base interval between tries; it doubles, and a random part of it is taken."""


def hides(retries: Retries, timeout: float | None, clients: Clients, silent: bool) -> bool | None:
    """Whether a request that starts at lost hosts is answered in time by others.

    `silent`: a try at a lost host ends by its timeout; else it is refused at
    once. The tries that it takes must fit into what the proxy and the client
    allow, and none may be refused for too many retries at the same time.
    """
    leaves = retries.leaves
    if leaves is None or retries.count < leaves or (silent and not retries.timeouts):
        return False
    each = _each(retries, silent)
    if each is None:
        return False
    if leaves * (each + _BACK_OFF) > min(clients.patience, timeout if timeout else float("inf")):
        return False
    # A connect that fails at last ends everything that waited for it, and all of that is tried again at once.
    crowd = clients.rate * each
    return None if retries.at_once is not None and crowd > retries.at_once else True


def _each(retries: Retries, silent: bool) -> float | None:
    """Seconds until one try is given up; None where only the end of the request ends it."""
    return retries.per_try if silent else 0.0
