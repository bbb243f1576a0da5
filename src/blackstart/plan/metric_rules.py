"""Rules about what a drill takes from Prometheus and Thanos: whether it can be told at all, and in time."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.content import Content, Probe
from blackstart.plan.promql import longest_range
from blackstart.plan.rules import Rules
from blackstart.probes.base import ProbeSpec
from blackstart.probes.promql import Spec
from blackstart.schema.drill import HonestObjective, ReadingObjective, RtoObjective
from blackstart.schema.errors import Finding

METRIC_RULES: Rules[Content] = Rules()


@METRIC_RULES.add(
    "BS206",
    "error",
    "A probe over Prometheus tells times apart as finely as its objective, and the RTO of its service, ask for.",
    why="What happened between two scrapes is not seen, and a rate over a range is a mean over it: with a scrape of "
    "15s and a range of 1m a value says nothing of any moment of the last 75s.",
    link="https://prometheus.io/docs/prometheus/latest/querying/functions/#rate",
)
def _resolution(content: Content) -> Iterator[Finding]:
    phases = content.drill.phases
    lengths = {"baseline": phases.baseline, "hold": phases.hold, "failback": phases.failback}
    for i, objective in enumerate(content.drill.objectives):
        if isinstance(objective, HonestObjective):
            yield from _too_coarse(content, i, objective.probe, objective.lag, "its lag")
        if isinstance(objective, ReadingObjective):
            yield from _too_coarse(content, i, objective.probe, lengths[objective.during], objective.during)
            for rto in content.drill.objectives:
                if isinstance(rto, RtoObjective) and rto.service == objective.service:
                    yield from _too_coarse(content, i, objective.probe, rto.objective, f"the RTO of {rto.service}")


def _too_coarse(content: Content, i: int, name: str, seconds: float, what: str) -> Iterator[Finding]:
    probe = content.probes.get(name)
    if probe is not None and (finest := resolution(probe)) > seconds:
        text = f'probe "{name}" tells nothing finer than {finest:g}s (scrape, range and looks together), '
        fix = "scrape more often (`scrape` in fleet.yaml), shorten the range, or measure with clients"
        yield content.document.finding(("objectives", i, "probe"), f"{text}{what} is {seconds:g}s", fix)


def resolution(probe: Probe) -> float:
    """Seconds that a probe cannot tell apart; 0 for one that asks no Prometheus.

    What `increase` counts over a range is a memory that is meant, and does not count here.
    """
    spec = probe.spec
    if not isinstance(spec, Spec):
        return 0.0
    return scrape_of(probe, spec) + spec.every + longest_range(spec.query)


def scrape_of(probe: Probe, spec: Spec) -> float:
    """The longest scrape interval between what happens and what a probe reads; 0 where fleet.yaml has none."""
    if probe.fleet is None:
        return 0.0
    own = [r.prometheus.scrape or 0.0 for r in probe.fleet.regions.values() if r.prometheus]
    federation = probe.fleet.federation if spec.at == "federation" else None
    return max(own, default=0.0) + (federation.scrape or 0.0 if federation else 0.0)


@METRIC_RULES.add(
    "BS207",
    "error",
    "The truth beside a view is read past it, and at least as often as the view may be late.",
    why="A truth that comes from the same Prometheus goes blind, and wrong, together with the view.",
)
def _truth(content: Content) -> Iterator[Finding]:
    for i, objective in enumerate(content.drill.objectives):
        if not isinstance(objective, HonestObjective):
            continue
        path = ("objectives", i, "truth")
        view, truth = (content.probes.get(name) for name in (objective.probe, objective.truth))
        if truth and truth.spec.every > objective.lag:
            text = f'probe "{objective.truth}" looks every {truth.spec.every:g}s, `lag` is {objective.lag:g}s'
            yield content.document.finding(path, text, "look more often, or allow for a longer lag")
        if view and truth and _same_source(view.spec, truth.spec):
            text = f'probe "{objective.truth}" asks the same as "{objective.probe}", so it cannot tell'
            yield content.document.finding(path, text, "use a probe of kind kubernetes or http")


def _same_source(view: ProbeSpec, truth: ProbeSpec) -> bool:
    """Whatever the global view says is made of what the regions' own Prometheus say."""
    return view.probe == truth.probe or (isinstance(view, Spec) and isinstance(truth, Spec))
