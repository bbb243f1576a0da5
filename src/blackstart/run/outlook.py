"""The verdict as it forms: what the clients' streams say so far about the objectives. Never the verdict itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from blackstart.evidence.records import Body, FaultEvent, FaultState, GuardTrip, Outstanding, Samples, Stream
from blackstart.schema.drill import AvailabilityObjective, Drill, RtoObjective

_QUIET = 1.0
"""Seconds without a bad request after which a service no longer counts as down."""

SPOILT = {
    FaultState.INEFFECTIVE: "the fault did not bite",
    FaultState.FAILED: "a fault failed",
    FaultState.CONFLICT: "someone else changed what the fault changed",
}


@dataclass
class _Tally:
    good: int = 0
    total: int = 0
    last_bad: float | None = None
    newest: float = 0.0


@dataclass
class Outlook:
    """Counts from T0 on, per service; bounded by the number of services."""

    drill: Drill
    services: Mapping[str, str]
    streams: Mapping[str, Stream]
    t0: float | None = None
    spoilt: str | None = None
    _tallies: dict[str, _Tally] = field(default_factory=dict)

    def see(self, body: Body) -> None:
        """Take in one record."""
        match body:
            case FaultEvent(state=FaultState.CONFIRMED, t0=t0) if t0:
                self.t0 = t0.earliest if self.t0 is None else min(self.t0, t0.earliest)
            case FaultEvent(state=state) if state in SPOILT:
                self.spoilt = SPOILT[state]
            case GuardTrip():
                self.spoilt = "aborted by a guard"
            case Outstanding(faults=left) if left:
                self.spoilt = "not everything is put back"
            case Samples() if self.t0 is not None and self.streams[body.stream].kind == "entry":
                self._count(self.streams[body.stream].service, body, self.t0)

    def lines(self) -> list[str]:
        """What to tell, one line per objective that clients decide."""
        if self.spoilt:
            return [f"this cannot pass: {self.spoilt}"]
        if self.t0 is None:
            return ["the fault is not confirmed yet"]
        return [line for objective in self.drill.objectives if (line := self._line(objective, self.t0))]

    def _line(self, objective: object, t0: float) -> str | None:
        match objective:
            case RtoObjective():
                tally = self._tally(objective.service)
                return (
                    f"{objective.service}: RTO {objective.objective:g} s: {_recovery(tally, t0, objective.objective)}"
                )
            case AvailabilityObjective() if total := self._tally(objective.service).total:
                share = self._tally(objective.service).good / total
                return f"{objective.service}: availability {objective.objective:.3%}: {share:.3%} so far"
            case _:
                return None

    def _tally(self, role: str) -> _Tally:
        return self._tallies.setdefault(self.services.get(role, role), _Tally())

    def _count(self, service: str, samples: Samples, t0: float) -> None:
        tally, slow = self._tallies.setdefault(service, _Tally()), self.drill.client.slow
        for due, latency, ok in zip(samples.due, samples.latency, samples.ok, strict=True):
            if due < t0:
                continue
            good = ok and (slow is None or latency <= slow)
            tally.total, tally.good, tally.newest = tally.total + 1, tally.good + good, max(tally.newest, due)
            if not good:
                tally.last_bad = max(tally.last_bad or 0.0, due)


def _recovery(tally: _Tally, t0: float, objective: float) -> str:
    if tally.last_bad is None:
        return f"no bad request in {max(0.0, tally.newest - t0):.1f} s"
    lasted = tally.last_bad - t0
    missed = ", missed" if lasted > objective else ""
    if tally.newest - tally.last_bad < _QUIET:
        return f"not recovered {lasted:.1f} s after T0{missed}"
    return f"last bad request {lasted:.1f} s after T0, good for {tally.newest - tally.last_bad:.1f} s{missed}"
