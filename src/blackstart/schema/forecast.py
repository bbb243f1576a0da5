"""A forecast: what a service's clients should feel of a drill, told by configuration before anything is broken."""

from __future__ import annotations

from typing import Literal

from blackstart.schema.base import Model

Figure = Literal["taken_out", "recovered", "failback"]
"""The times that are foretold and then measured."""


class Expected(Model):
    """A time that should lie between `low` and `high`, seconds.

    `high` None: it may not come to pass while the fault is in place; `low`
    None too: it will not.
    """

    low: float | None
    high: float | None

    def holds(self, measured: float | None, within: float = 0.0) -> bool:
        """Whether a measured time (None: it did not come to pass) is as foretold, give or take `within` seconds."""
        if measured is None:
            return self.high is None
        above = self.low is not None and measured >= self.low - within
        return above and (self.high is None or measured <= self.high + within)

    def error(self, measured: float | None) -> float | None:
        """Seconds by which a measured time is outside: negative if too soon; None where no number says it."""
        if self.holds(measured):
            return 0.0
        if measured is None or self.low is None:
            return None
        return measured - (self.low if measured < self.low or self.high is None else self.high)


class Compared(Model):
    """A forecast beside what was measured.

    `measured` None: it did not come to pass while clients were watched.
    `inside`: as foretold, give or take the clock's resolution; None: the
    evidence does not say. `error`: seconds outside of the bounds, negative if
    too soon; None: not known, or only one of both is a time.
    """

    figure: Figure
    expected: Expected
    measured: float | None
    inside: bool | None
    error: float | None = None


class Capacity(Model):
    """Whether the survivors can carry what the clients ask.

    `clients`: requests per second of the drill's own clients; `others`: those
    that Prometheus counts, None where it does not. `ready`: pods by region.
    `per_pod`: requests per second that one pod serves. None: not known.
    """

    clients: float
    others: float | None = None
    ready: dict[str, int] | None = None
    per_pod: float | None = None

    @property
    def asked(self) -> float:
        """Requests per second, as far as is known. Prometheus counts the drill's own too once they run."""
        return self.clients + (self.others or 0.0)

    @property
    def enough(self) -> bool | None:
        """None: not known. Too little for what is known is too little, whatever else there is."""
        if self.ready is not None and not sum(self.ready.values()):
            return False
        if self.ready is None or self.per_pod is None:
            return None
        if self.asked > self.per_pod * sum(self.ready.values()):
            return False
        return None if self.others is None else True


class Forecast(Model):
    """What is expected of one service.

    `taken_out`: from T0 until no request goes to what was lost, or waits for
    it, any more. `recovered`: from T0 until clients are served for good.
    `failback`: from the end of the undo until home serves again. None: no
    forecast. `by`: who notices. `reason`: why there is no forecast.
    """

    by: str = ""
    taken_out: Expected | None = None
    recovered: Expected | None = None
    failback: Expected | None = None
    assumptions: list[str] = []
    reason: str = ""
    capacity: Capacity | None = None

    def expected(self) -> dict[Figure, Expected]:
        """What is foretold, by figure."""
        found: dict[Figure, Expected | None] = {
            "taken_out": self.taken_out,
            "recovered": self.recovered,
            "failback": self.failback,
        }
        return {figure: span for figure, span in found.items() if span is not None}


class Foreseen(Model):
    """A forecast, and what came of it."""

    forecast: Forecast
    compared: list[Compared] = []
