"""A plan as people read it: plain text, the same on a terminal and off it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import yaml

from blackstart.plan.outline import DEADLINES, Outline, Watch, lengths
from blackstart.plan.steps import Step
from blackstart.report.foretold import NAMES, capacity, expected
from blackstart.schema.drill import (
    AvailabilityObjective,
    CompletenessObjective,
    Guard,
    HonestObjective,
    LostWritesObjective,
    Objective,
    OrderObjective,
    ReadingObjective,
    RestoredObjective,
)
from blackstart.schema.errors import shown

_BACK = {
    "guardian": "the guardian in",
    "kernel": "the kernel:",
    "watchdog": "only the watchdog:",
    "nobody": "nobody:",
}


def text(found: Outline) -> str:
    """Everything, a section after the other."""
    drill = found.plan.drill
    sections: dict[str, Iterable[str]] = {
        f"Drill {drill.drill}": _head(found),
        "Digests (SHA-256)": _columns((part, found.plan.digests[part]) for part in sorted(found.plan.digests)),
        "Roles": _roles(found),
        "Experiment": _experiment(found.steps),
        "Procedure": _procedure(found),
        "Locks": _locks(found),
        "Guardians": _guardians(found),
        "The operator must be allowed to": _needs(found),
        "Phases": _phases(found),
        "Ledger": _ledger(found),
        "Forecast": _forecast(found),
        "Probes": _columns(
            (p.probe, f"{p.kind} every {p.every:g} s, {p.deadline:g} s each") for p in found.plan.probes
        ),
        "Guards": map(_guard, drill.guards),
        "Objectives": map(_objective, drill.objectives),
        "Notes": map(str, found.plan.notes),
        "Refused, or not known": found.problems,
    }
    return "\n\n".join(_section(title, list(lines)) for title, lines in sections.items())


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([f"{title}:", *_indented(lines)]) if lines else f"{title}: none"


def _indented(lines: Iterable[str], by: int = 2) -> list[str]:
    return [" " * by + line for each in lines for line in each.splitlines()]


def _columns(rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in rows]


def _head(found: Outline) -> list[str]:
    plan = found.plan
    lines = [
        ("title", plan.drill.title),
        ("drill", shown(plan.drill_file)),
        ("experiment", shown(plan.experiment_file)),
        ("fleet", f"{plan.fleet.fleet} ({shown(plan.fleet.source) if plan.fleet.source else 'no file'})"),
        ("takes a region down", "yes" if plan.drill.destructive else "no"),
    ]
    return _columns(lines)


def _roles(found: Outline) -> list[str]:
    plan = found.plan
    services = [(f"service {role}", name) for role, name in plan.services.items()]
    victims, survivors = ", ".join(plan.victims) or "none", ", ".join(plan.survivors) or "none"
    return _columns([*services, ("victims", victims), ("survivors", survivors)])


def _experiment(steps: Sequence[Step]) -> Iterator[str]:
    for section, inside in groupby(steps, lambda step: step.section):
        yield section
        for step in inside:
            yield from _indented(_step(step))


def _step(step: Step) -> Iterator[str]:
    yield f"{step.type}: {step.name} ({step.does})"
    yield from _indented(f"breaks: {broken}" for broken in step.breaks)
    if step.back:
        yield from _indented([f"put back, if the run cannot, by {_BACK[step.back]} {step.why}"])
    if step.skipped:
        yield from _indented([f"not called {step.skipped}"])
    if step.problem:
        yield from _indented([f"refused, or not known: {step.problem}"])


def _procedure(found: Outline) -> Iterator[str]:
    begins = {"outage": "once clients see the outage", "fault": "as soon as the fault is confirmed"}
    for part, inside in groupby(found.procedure, lambda step: step.part):
        yield "after the undo" if part == "failback" else begins[found.plan.drill.detect]
        for step in inside:
            yield from _indented([f"{step.name}: {step.does}, by a {step.by}, within {step.longest:g} s"])
            yield from _indented((f"needs: {need}" for need in step.needs), 4)


def _locks(found: Outline) -> Iterator[str]:
    locks = found.locks
    yield f"regions {', '.join(locks.regions)}"
    for home in locks.homes:
        yield f"kept in {home.name} (context {home.cluster.context}), namespace {home.namespace}"
    yield f"needed in {locks.needed} of {len(locks.homes)}"


def _guardians(found: Outline) -> Iterator[str]:
    if found.guardians and found.plan.fleet.guardian:
        yield f"image {found.plan.fleet.guardian.image}"
    for watch in found.guardians:
        yield str(watch.ward)
        yield from _indented(_watch(watch))


def _watch(watch: Watch) -> Iterator[str]:
    yield from (f"looks after {charge.ref}" for charge in watch.ward.charges)
    yield "may do in its cluster:"
    yaml_text = yaml.safe_dump_all(watch.roles, sort_keys=False, default_flow_style=None, width=1000)
    yield from _indented([yaml_text])


def _needs(found: Outline) -> Iterator[str]:
    for need in found.needs:
        yield f"{need.cluster}, namespace {need.namespace}, {need.what_for}"
        by_resource: dict[str, list[str]] = {}
        for verb, resource, group in need.rights:
            by_resource.setdefault(f"{resource}.{group}" if group else resource, []).append(verb)
        yield from _indented(f"{', '.join(verbs)} {resource}" for resource, verbs in by_resource.items())
    if any(step.foreign for step in found.steps):
        yield "what the actions of other extensions do"


def _ledger(found: Outline) -> Iterator[str]:
    plan, ledger = found.plan, found.plan.drill.ledger
    if ledger is None:
        return
    service = plan.fleet.services[plan.services[ledger.service]]
    if service.writes:
        urls = ", ".join(service.writes.entries.values())
        yield f"{ledger.writers} writers: POST {urls} from {service.writes.place}"
        yield f"rest of {ledger.interval:g} s after each write, indeterminate after {ledger.timeout:g} s"
    for name in service.stores:
        store = plan.fleet.stores[name]
        yield f"read back from {name} ({', '.join(store.members)}): {', '.join(store.records)}"


def _phases(found: Outline) -> list[str]:
    rows = [
        (name, f"{'at most ' if name in DEADLINES else ''}{seconds:g} s")
        for name, seconds in lengths(found.plan.drill.phases)
    ]
    return _columns([*rows, ("together", f"{found.least:g} s to {found.most:g} s, and the preflight")])


def _forecast(found: Outline) -> Iterator[str]:
    for name, forecast in found.forecasts.items():
        yield f"{name}: no forecast: {forecast.reason}" if forecast.reason else f"{name}, by {forecast.by}"
        rows = [(NAMES[figure].lower(), expected(time)) for figure, time in forecast.expected().items()]
        yield from _indented(_columns(rows))
        yield from _indented(f"assumed: {each}" for each in forecast.assumptions)
        if forecast.capacity:
            yield from _indented([capacity(forecast.capacity)])


def _guard(guard: Guard) -> str:
    kept = str(guard.bound) if guard.bound else f"at least {100 * guard.success:.6g}% good"
    return (
        f"{guard.watch}: {kept}; ends the drill after {guard.sustained:g} s otherwise, {guard.blind:g} s without data"
    )


def _objective(objective: Objective) -> str:
    if isinstance(objective, HonestObjective):
        return f"{objective.service}: {objective.probe} at most {objective.objective:g} s wrong, by {objective.truth}"
    if isinstance(objective, ReadingObjective):
        return f"{objective.service}: {objective.probe} {objective.bound} during {objective.during}"
    if isinstance(objective, LostWritesObjective):
        return f"{objective.service}: at most {objective.objective} acknowledged writes lost"
    if isinstance(objective, OrderObjective):
        return f"{objective.service}: no write twice or out of order"
    if isinstance(objective, AvailabilityObjective | CompletenessObjective | RestoredObjective):
        return f"{objective.service}: {objective.kind} at least {100 * objective.objective:.6g}%"
    return f"{objective.service}: {objective.kind} at most {objective.objective:g} s"
