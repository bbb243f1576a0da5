"""The forecast of one service, of all that a drill takes away from it."""

from __future__ import annotations

from collections.abc import Sequence

from blackstart.plan.forecast.losses import Loss
from blackstart.plan.forecast.settings import Clients
from blackstart.plan.forecast.spans import last
from blackstart.plan.forecast.ways import Outcome, Way, outcome
from blackstart.schema.forecast import Forecast


def expect(losses: Sequence[Loss], way: Way, clients: Clients, known: Sequence[str] = ()) -> Forecast:
    """What clients should feel; `known`: what was taken for granted when the settings were read."""
    if not losses:
        return Forecast(reason="nothing that the drill breaks is on the way of this service's clients")
    outcomes: list[Outcome] = []
    for loss in losses:
        found = outcome(loss, way, clients)
        if isinstance(found, str):
            return Forecast(reason=found)
        outcomes.append(found)
    backs = [found.failback for found in outcomes if found.failback]
    return Forecast(
        by=", ".join(dict.fromkeys(found.by for found in outcomes)),
        taken_out=last(found.taken_out for found in outcomes),
        recovered=last(found.recovered for found in outcomes),
        failback=last(backs) if len(backs) == len(outcomes) else None,
        assumptions=[*_of_clients(clients), *known, *(found.because for found in outcomes if found.because)],
    )


def _of_clients(clients: Clients) -> list[str]:
    slow = "" if clients.slow is None else f", slower than {clients.slow:g} s is bad"
    return [
        f"{clients.rate:g} requests/s by the drill's own clients, timeout {clients.timeout:g} s{slow}; "
        "other traffic makes errors, and their end, come sooner"
    ]
