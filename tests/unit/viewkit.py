"""Evidence of a drill in which a global view of pods stands beside what Kubernetes says of each region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evidence_builder import DRILL, END, PHASES, Scene, adding

from blackstart.evidence.records import Line, Phase, Reading, Reason
from blackstart.judge import judge
from blackstart.schema.result import ObjectiveResult, Result

HONEST: dict[str, Any] = {"kind": "honest", "service": "frontend", "probe": "global-pods", "truth": "ready"}
TRUTH = {"us": 3.0, "eu": 3.0}
Said = tuple[float | Reason | None, float | None]
"""What the view says, and what a plain query got."""


def whole(t: float) -> Said:
    """All is well."""
    return 6.0, 6.0


def so(t: float) -> dict[str, float | Reason]:
    """Three pods in each region."""
    return dict(TRUTH)


@dataclass(frozen=True)
class Views:
    """`view` at a time says something for all regions as one; `truth` is what is so of each; None: not read."""

    view: Callable[[float], Said | None] = whole
    truth: Callable[[float], dict[str, float | Reason] | None] = so
    honest: Sequence[dict[str, Any]] = (HONEST,)
    every: float = 1.0

    def lines(self) -> list[Line]:
        scene = Scene(interval=0.5, drill={
            "probes": ["replicas", "global-pods", "ready"],
            "objectives": [*DRILL["objectives"][:1], *self.honest],
        })  # fmt: skip
        return adding(scene, *self._readings())

    def _readings(self) -> list[tuple[float, Reading]]:
        found, t = [], PHASES[Phase.BASELINE]
        while t < END - 1:
            if (said := self.view(t)) is not None:
                found.append((t + 0.2, reading("global-pods", "", *said)))
            for region, true in (self.truth(t) or {}).items():
                found.append((t + 0.1, reading("ready", region, true)))
            t += self.every
        return found

    def judged(self) -> Result:
        return judge(self.lines())

    def honesty(self) -> ObjectiveResult:
        return next(o for o in self.judged().objectives if o.kind == "honest")


def reading(probe: str, key: str, said: float | Reason | None, plain: float | None = None) -> Reading:
    reason = said if isinstance(said, Reason) else None
    value = None if isinstance(said, Reason) else said
    return Reading(probe=probe, key=key, value=value, no_data=reason, detail="x" if reason else "", plain=plain)
