"""Rules about a drill: what it names, and whether its numbers can be measured."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.content import Content, known
from blackstart.plan.rules import Rules
from blackstart.probes.mesh import MeshSpec
from blackstart.schema.drill import (
    AvailabilityObjective,
    FailbackObjective,
    Guard,
    HonestObjective,
    LostWritesObjective,
    Objective,
    OrderObjective,
    ReadingObjective,
    RpoObjective,
    RtoObjective,
)
from blackstart.schema.errors import Finding, KeyPath, unknown

DRILL_RULES: Rules[Content] = Rules()

_CLIENT_GUARDS = ("survivors", "clients")
_MIN_READINGS = 3


@DRILL_RULES.add("BS101", "error", "The experiment exists.")
def _experiment(content: Content) -> Iterator[Finding]:
    if content.experiment is None:
        names = known("experiments", content.document.file)
        yield content.document.finding(("experiment",), unknown("experiment", content.drill.experiment, names))


@DRILL_RULES.add("BS102", "error", "Every probe exists.")
def _probes(content: Content) -> Iterator[Finding]:
    for i, name in enumerate(content.drill.probes):
        if name not in content.probes:
            names = known("probes", content.document.file)
            yield content.document.finding(("probes", i), unknown("probe", name, names))


@DRILL_RULES.add("BS103", "error", "Objectives and guards use only probes that the drill lists under `probes`.")
def _listed(content: Content) -> Iterator[Finding]:
    for path, name in _probe_uses(content):
        if name not in content.drill.probes:
            others = _CLIENT_GUARDS if path[0] == "guards" else ()
            yield content.document.finding(path, unknown("probe", name, [*content.drill.probes, *others]))


@DRILL_RULES.add("BS104", "error", "Objectives are about services of the drill.")
def _services(content: Content) -> Iterator[Finding]:
    for i, objective in enumerate(content.drill.objectives):
        if objective.service not in content.drill.services:
            path = ("objectives", i, "service")
            yield content.document.finding(path, unknown("service", objective.service, content.drill.services))


@DRILL_RULES.add("BS105", "error", "The fleet has a service or region for every role.")
def _roles(content: Content) -> Iterator[Finding]:
    if content.fleet is None:
        return
    services = content.fleet.players(content.fleet.services)
    regions = content.fleet.players(content.fleet.regions)
    for key, names, allowed, what in (
        ("services", content.drill.services, services, "service"),
        ("victims", content.drill.victims, regions, "region"),
    ):
        for i, name in enumerate(names):
            if name not in allowed:
                yield content.document.finding(
                    (key, i), unknown(f"{what} in fleet {content.fleet.fleet!r}", name, allowed)
                )


@DRILL_RULES.add("BS106", "error", "Drills and probes are called like their files.")
def _file_names(content: Content) -> Iterator[Finding]:
    if content.drill.drill != content.document.file.stem:
        yield content.document.finding(("drill",), _misnamed(content.drill.drill, content.document.file.name))
    for name, probe in content.probes.items():
        if probe.spec.probe != name:
            yield probe.document.finding(("probe",), _misnamed(probe.spec.probe, probe.document.file.name))


@DRILL_RULES.add("BS107", "info", "An objective, a guard or the ledger uses every probe; else it is only recorded.")
def _unused(content: Content) -> Iterator[Finding]:
    used = {name for _, name in _probe_uses(content)}
    if content.drill.ledger:
        # What probes of stores said last is told with each write that is lost.
        used |= {name for name, probe in content.probes.items() if probe.spec.kind in ("mysql", "redis")}
    for i, name in enumerate(content.drill.probes):
        if name not in used:
            yield content.document.finding(
                ("probes", i), f'probe "{name}" is recorded, but no objective or guard uses it'
            )


@DRILL_RULES.add("BS108", "error", "No objective, service, victim or probe is listed twice.")
def _twice(content: Content) -> Iterator[Finding]:
    drill = content.drill
    for key, names in (("services", drill.services), ("victims", drill.victims), ("probes", drill.probes)):
        for i in _repeated(names):
            yield content.document.finding((key, i), f'"{names[i]}" is listed twice')
    objectives = [(o.kind, o.service, *_about(o)) for o in drill.objectives]
    for i in _repeated(objectives):
        text = f"a second {objectives[i][0]} objective of {objectives[i][1]}"
        yield content.document.finding(("objectives", i), text, "keep the one that counts")


@DRILL_RULES.add("BS109", "error", "A guard has a bound if it watches a probe, and only then.")
def _guards(content: Content) -> Iterator[Finding]:
    for i, guard in enumerate(content.drill.guards):
        if _watches_probe(guard) and guard.bound is None:
            yield content.document.finding(("guards", i), "watches a probe without a bound", 'add: bound: ">= 1"')
        if not _watches_probe(guard) and guard.bound is not None:
            path = ("guards", i, "bound")
            yield content.document.finding(path, "watches clients, which have no bound", "use `success`")


@DRILL_RULES.add("BS110", "error", "At least one region survives.")
def _survivors(content: Content) -> Iterator[Finding]:
    if content.fleet is None:
        return
    victims = {content.fleet.roles.get(name, name) for name in content.drill.victims}
    if not set(content.fleet.regions) - victims:
        text = f"takes every region of fleet {content.fleet.fleet!r} away; nobody could take over"
        yield content.document.finding(("victims",), text)


@DRILL_RULES.add("BS111", "error", "The victims are the regions that the experiment takes away.")
def _victims(content: Content) -> Iterator[Finding]:
    if content.experiment is None:
        return
    names = (content.fleet.roles if content.fleet else {}).get
    victims = {names(v, v) for v in content.drill.victims}
    for activity in content.experiment.activities():
        region = activity.arguments.get("region")
        takes_away = activity.ours and activity.injects and activity.provider.get("func") in ("kill", "isolate")
        if takes_away and isinstance(region, str) and names(region, region) not in victims:
            text = f'the experiment takes region "{region}" away, but it is not a victim here'
            yield content.document.finding(("victims",), text, f"add {region} to victims")


@DRILL_RULES.add("BS112", "error", "The fleet has a mesh in every region whose mesh a probe of the drill asks.")
def _meshes(content: Content) -> Iterator[Finding]:
    fleet = content.fleet
    if fleet is None:
        return
    asking = {name: probe.spec for name, probe in content.probes.items() if isinstance(probe.spec, MeshSpec)}
    for name, spec in asking.items():
        # Roles that nobody plays are for BS302.
        regions = [fleet.roles.get(role, role) for role in spec.regions] or list(fleet.regions)
        for region in regions:
            if region in fleet.regions and fleet.regions[region].mesh is None:
                text = f'probe "{name}" asks the mesh of region {region!r}, which has no `mesh` in fleet.yaml'
                yield content.document.finding(("probes", content.drill.probes.index(name)), text)


@DRILL_RULES.add(
    "BS113",
    "error",
    "A drill of failover has a fault that is more than `mesh_abort` and `mesh_delay`: they never move traffic.",
)
def _client_side(content: Content) -> Iterator[Finding]:
    activities = content.experiment.activities() if content.experiment else ()
    funcs = {str(a.provider.get("func")) if a.ours else "other" for a in activities if a.injects}
    if not funcs or funcs - {"mesh_abort", "mesh_delay"}:
        return
    for i, objective in enumerate(content.drill.objectives):
        if isinstance(objective, RtoObjective | FailbackObjective):
            text = (
                f"{objective.kind} would prove nothing: {' and '.join(sorted(funcs))} is made by the caller's own "
                "proxy, without retries, and no host is ever ejected for it"
            )
            yield content.document.finding(("objectives", i), text, "use scale, blackhole_endpoints or kill")


@DRILL_RULES.add(
    "BS114", "warning", "Every service has an `rto` or `availability` objective: without one a drill cannot pass."
)
def _felt(content: Content) -> Iterator[Finding]:
    felt = {o.service for o in content.drill.objectives if isinstance(o, RtoObjective | AvailabilityObjective)}
    for i, service in enumerate(content.drill.services):
        if service not in felt:
            text = f"no objective says what the clients of {service} may feel, so the verdict is INCONCLUSIVE at best"
            yield content.document.finding(("services", i), text, "add an `rto` or `availability` objective")


@DRILL_RULES.add("BS201", "error", "An RTO objective is at least twice what the client can tell apart.")
def _rto_resolution(content: Content) -> Iterator[Finding]:
    client = content.drill.client
    finest = 2 * (client.interval + client.timeout)
    for i, objective in enumerate(content.drill.objectives):
        if isinstance(objective, RtoObjective) and objective.objective < finest:
            text = (
                f"{objective.objective:g}s cannot be certified: a client with interval {client.interval:g}s "
                f"and timeout {client.timeout:g}s needs at least {finest:g}s"
            )
            yield content.document.finding(("objectives", i, "objective"), text, "shorten client.timeout")


@DRILL_RULES.add("BS202", "error", "The hold phase lasts as long as the RTO objective and one steady window.")
def _rto_in_hold(content: Content) -> Iterator[Finding]:
    drill = content.drill
    for i, objective in enumerate(drill.objectives):
        needed = objective.objective + drill.steady.window if isinstance(objective, RtoObjective) else 0
        if needed > drill.phases.hold:
            text = f"needs phases.hold of at least {needed:g}s (with one steady window), it is {drill.phases.hold:g}s"
            yield content.document.finding(("objectives", i, "objective"), text)


@DRILL_RULES.add(
    "BS203", "error", "The fail-back phase lasts as long as the fail-back objective and one steady window."
)
def _failback(content: Content) -> Iterator[Finding]:
    drill = content.drill
    for i, objective in enumerate(drill.objectives):
        needed = objective.objective + drill.steady.window if isinstance(objective, FailbackObjective) else 0
        if needed > drill.phases.failback:
            found = drill.phases.failback
            text = f"needs phases.failback of at least {needed:g}s (with one steady window), it is {found:g}s"
            yield content.document.finding(("objectives", i, "objective"), text)


@DRILL_RULES.add("BS204", "error", "The steady window fits into the phases that it is looked for in.")
def _window(content: Content) -> Iterator[Finding]:
    phases, window = content.drill.phases, content.drill.steady.window
    for name, length in (("baseline", phases.baseline), ("hold", phases.hold), ("failback", phases.failback)):
        if window > length:
            text = f"{window:g}s is longer than phases.{name}, which lasts {length:g}s"
            yield content.document.finding(("steady", "window"), text)


@DRILL_RULES.add("BS205", "error", "A probe of a reading objective looks at least three times in the phase.")
def _often_enough(content: Content) -> Iterator[Finding]:
    phases = content.drill.phases
    lengths = {"baseline": phases.baseline, "hold": phases.hold, "failback": phases.failback}
    for i, objective in enumerate(content.drill.objectives):
        if not isinstance(objective, ReadingObjective) or objective.probe not in content.probes:
            continue
        every = content.probes[objective.probe].spec.every
        if every * _MIN_READINGS > lengths[objective.during]:
            text = (
                f'probe "{objective.probe}" looks every {every:g}s; '
                f"{objective.during} lasts {lengths[objective.during]:g}s, too short for {_MIN_READINGS} looks"
            )
            yield content.document.finding(("objectives", i, "probe"), text)


def _probe_uses(content: Content) -> Iterator[tuple[KeyPath, str]]:
    for i, objective in enumerate(content.drill.objectives):
        if isinstance(objective, ReadingObjective | HonestObjective):
            yield ("objectives", i, "probe"), objective.probe
        if isinstance(objective, HonestObjective):
            yield ("objectives", i, "truth"), objective.truth
    for i, guard in enumerate(content.drill.guards):
        if _watches_probe(guard):
            yield ("guards", i, "watch"), guard.watch


def _watches_probe(guard: Guard) -> bool:
    return guard.watch not in _CLIENT_GUARDS


def _about(objective: Objective) -> tuple[str, ...]:
    """What tells objectives of one kind and service apart."""
    if isinstance(objective, ReadingObjective):
        return objective.probe, objective.during, objective.bound.op
    if isinstance(objective, HonestObjective):
        return (objective.probe,)
    if isinstance(objective, RpoObjective | LostWritesObjective | OrderObjective):
        return str(objective.store), str(objective.record)
    return ()


def _repeated(items: list[object] | list[str] | list[tuple[str, ...]]) -> Iterator[int]:
    return (i for i, item in enumerate(items) if item in items[:i])


def _misnamed(name: str, file: str) -> str:
    return f'is called "{name}", the file {file}; others find it by the name of its file'
