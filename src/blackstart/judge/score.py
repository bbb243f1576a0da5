"""The score: utilities, weights, product, interval. Rubric 1, in docs/verdicts.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from blackstart.fleet.model import Fleet
from blackstart.schema.result import Dimension, Grade, ObjectiveResult, Score, Verdict

WEIGHTS = {
    "loss": 0.30,
    "rto": 0.25,
    "availability": 0.15,
    "completeness": 0.15,
    "failback": 0.10,
    "readings": 0.10,
    "detection": 0.05,
}
"""Shares of a service's score; those that a drill rehearses are scaled to sum up to 1."""

_DIMENSIONS = {
    **dict.fromkeys(("reading", "honest"), "readings"),
    **dict.fromkeys(("rpo", "lost-writes", "order", "convergence", "backup-rpo"), "loss"),
    "restore-rto": "rto",
    "restored": "completeness",
}
"""Of objectives that are not called like their dimension."""

_LOSS = ("rpo", "lost-writes")

_GRADES: tuple[tuple[Grade, float], ...] = (("A", 90.0), ("B", 75.0), ("C", 60.0), ("D", 40.0), ("E", 20.0))
_SWING = (0.8, 1.2)

Breakdown = Mapping[str, Mapping[str, Dimension]]


def score(objectives: Sequence[ObjectiveResult], fleet: Fleet, verdict: Verdict) -> Score | None:
    """The score of a drill, None when nothing was rehearsed that could be scored."""
    if verdict in (Verdict.INVALID, Verdict.BLOCKED) or not objectives:
        return None
    parts = _breakdown(objectives)
    caps = _caps(objectives, fleet, verdict)
    ceiling = min((limit for _, limit in caps), default=100.0)
    low = min(_drill(parts, fleet, WEIGHTS, "low"), ceiling)
    high = min(_drill(parts, fleet, WEIGHTS, "high"), ceiling)
    rehearsed = {name for dimensions in parts.values() for name in dimensions}
    return Score(
        low=round(low, 1),
        high=round(high, 1),
        grade=_grade(low),
        breakdown={service: dict(dimensions) for service, dimensions in parts.items()},
        not_rehearsed=[name for name in WEIGHTS if name not in rehearsed],
        caps=[f"{why}: at most {limit:g}" for why, limit in caps],
        flips=_flips(parts, fleet, ceiling, _grade(low), rehearsed),
    )


def utility(x: float) -> float:
    """Worth of a value `x` times its objective: 1 at 0, 0.8 when just met, 0 from twice the objective on."""
    return 1 - 0.2 * x if x <= 1 else 0.8 * max(0.0, 2 - x)


def _breakdown(objectives: Sequence[ObjectiveResult]) -> dict[str, dict[str, Dimension]]:
    parts: dict[str, dict[str, Dimension]] = {}
    for objective in objectives:
        name = _DIMENSIONS.get(objective.kind, objective.kind)
        low, high = _utilities(objective)
        dimensions = parts.setdefault(objective.service, {})
        if before := dimensions.get(name):
            low, high = min(low, before.low), min(high, before.high)
        dimensions[name] = Dimension(low=round(low, 4), high=round(high, 4), weight=WEIGHTS[name])
    return parts


def _utilities(objective: ObjectiveResult) -> tuple[float, float]:
    """The worst and the best that the evidence allows."""
    if objective.kind in ("rto", "failback", "rpo", "lost-writes", "order", "backup-rpo", "restore-rto"):
        return _duration_utilities(objective)
    if (
        objective.kind in ("availability", "completeness", "restored")
        and objective.low is not None
        and objective.high is not None
    ):
        return _share_utility(objective.low, objective.bound), _share_utility(objective.high, objective.bound)
    return {True: (1.0, 1.0), False: (0.0, 0.0), None: (0.0, 1.0)}[objective.met]


def _duration_utilities(objective: ObjectiveResult) -> tuple[float, float]:
    bound = objective.bound or 0.0
    if objective.high is None:
        # It did not happen while watched: worth nothing, unless the watch was too short to say so.
        best = 0.0 if objective.met is False else _ratio_utility(objective.low or 0.0, bound)
        return 0.0, best
    return _ratio_utility(objective.high, bound), _ratio_utility(objective.low or 0.0, bound)


def _share_utility(share: float, bound: float | None) -> float:
    """Bad requests against the budget that the objective leaves; no budget: all or nothing."""
    return _ratio_utility(1 - share, 1 - (1.0 if bound is None else bound))


def _ratio_utility(measured: float, bound: float) -> float:
    if bound <= 1e-12:
        return 1.0 if measured <= 1e-12 else 0.0
    return utility(measured / bound)


def _drill(parts: Breakdown, fleet: Fleet, weights: Mapping[str, float], end: str) -> float:
    """Half the worst of the most critical services, half the weighted mean of all; 0 to 100."""
    scores = {service: _service(dimensions, weights, end) for service, dimensions in parts.items()}
    tiers = {service: _tier(fleet, service) for service in scores}
    worst = min(scores[s] for s in scores if tiers[s] == min(tiers.values()))
    shares = {s: fleet.services[s].weight if s in fleet.services else 1.0 for s in scores}
    return (worst + sum(scores[s] * shares[s] for s in scores) / sum(shares.values())) / 2


def _service(dimensions: Mapping[str, Dimension], weights: Mapping[str, float], end: str) -> float:
    total = sum(weights[name] for name in dimensions)
    parts = [math.pow(d.low if end == "low" else d.high, weights[name] / total) for name, d in dimensions.items()]
    return 100 * math.prod(parts)


def _caps(objectives: Sequence[ObjectiveResult], fleet: Fleet, verdict: Verdict) -> list[tuple[str, float]]:
    caps = []
    if verdict is Verdict.UNSAFE:
        caps.append(("not everything was put back", 39.0))
    if any(o.kind in _LOSS and o.met is False and _tier(fleet, o.service) == 0 for o in objectives):
        caps.append(("a tier-0 service lost more acknowledged writes than allowed", 39.0))
    if any(o.kind == "rto" and o.met is False and _tier(fleet, o.service) == 0 for o in objectives):
        caps.append(("a tier-0 service did not recover in time", 59.0))
    if any(o.kind == "failback" and o.met is not True and o.measured is None for o in objectives):
        caps.append(("fail-back not done", 74.0))
    if verdict is not Verdict.PASS:
        caps.append((f"the verdict is {verdict.value}", 74.0))
    return caps


def _tier(fleet: Fleet, service: str) -> int:
    return fleet.services[service].tier if service in fleet.services else 0


def _grade(low: float) -> Grade:
    return next((grade for grade, least in _GRADES if low >= least), "F")


def _flips(parts: Breakdown, fleet: Fleet, ceiling: float, grade: str, rehearsed: set[str]) -> bool:
    """Whether 20 % more or less of one weight changes the grade."""
    for name in rehearsed:
        for swing in _SWING:
            weights = {**WEIGHTS, name: WEIGHTS[name] * swing}
            if _grade(min(_drill(parts, fleet, weights, "low"), ceiling)) != grade:
                return True
    return False
