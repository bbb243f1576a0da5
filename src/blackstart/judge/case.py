"""What is judged: the history of a run beside the drill and the fleet that it was run with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from blackstart.evidence.history import History, Sample, Track, Window
from blackstart.evidence.records import FaultState, Interval, Phase
from blackstart.fleet.model import Fleet
from blackstart.schema.base import parse_duration
from blackstart.schema.drill import Drill

STRAY = 0.1
"""A region with less than this share of the answers served by chance, a retry for example."""

_ORDER = list(Phase)


@dataclass(frozen=True)
class Case:
    """One run, ready to be judged."""

    history: History
    drill: Drill
    fleet: Fleet

    @classmethod
    def of(cls, history: History) -> Case:
        """Raises pydantic.ValidationError when the header's drill or fleet is none."""
        header = history.header
        return cls(history, Drill.model_validate(header.drill), Fleet.model_validate(header.fleet))

    @cached_property
    def services(self) -> list[str]:
        """Names of the services rehearsed: those of the drill, and any other that an objective names."""
        roles = [*self.drill.services, *(objective.service for objective in self.drill.objectives)]
        return list(dict.fromkeys(self.history.named(role) for role in roles))

    @cached_property
    def t0(self) -> Interval | None:
        """When the drill took effect: the union over its faults; None unless every one is confirmed."""
        found = [fault.t0 for fault in self.history.broken]
        spans = [t0 for t0 in found if t0 is not None]
        if not spans or len(spans) < len(found):
            return None
        return Interval(earliest=min(s.earliest for s in spans), latest=max(s.latest for s in spans))

    @cached_property
    def undone(self) -> float | None:
        """When the last fault was confirmed to be reverted; None unless all are."""
        events = [fault.reached(FaultState.CONFIRMED_REVERTED) for fault in self.history.broken]
        times = [event.t for event in events if event is not None]
        return max(times) if times and len(times) == len(events) else None

    def start_of(self, phase: Phase) -> float:
        """When a phase began, or the next one that there was, or the run ended."""
        later = [w.start for p, w in self.history.phases.items() if _ORDER.index(p) >= _ORDER.index(phase)]
        return min(later, default=self.history.window.end)

    @property
    def watched(self) -> Window | None:
        """From T0 to the start of the undo: while the fault was in place."""
        return Window(self.t0.earliest, self.start_of(Phase.UNDO)) if self.t0 else None

    def rhythm(self, probe: str) -> tuple[float, float]:
        """How often a probe looks, and its deadline; seconds."""
        spec = next((p for p in self.history.header.probes if p.get("probe") == probe), {})
        every, deadline = (parse_duration(spec.get(key, usual)) for key, usual in (("every", 1.0), ("deadline", 2.0)))
        return float(str(every)), float(str(deadline))

    def patience(self, probe: str) -> float:
        """Seconds between two looks of a probe that are let pass: three periods and its deadline."""
        every, deadline = self.rhythm(probe)
        return 3 * every + deadline

    def good(self, sample: Sample) -> bool:
        """Answered, and not slower than the client puts up with. A latency of NaN never is."""
        slow = self.drill.client.slow
        return sample.ok and sample.latency <= (float("inf") if slow is None else slow)

    def home(self, track: Track) -> dict[str, float]:
        """Who served a stream in the baseline, but for strays: region -> share of the good answers, 0 to 1."""
        baseline = self.history.phases.get(Phase.BASELINE)
        good = [s for s in track.within(baseline) if self.good(s)] if baseline else []
        counts = Counter(sample.region for sample in good)
        return {r: count / len(good) for r, count in counts.items() if r is not None and count >= STRAY * len(good)}
