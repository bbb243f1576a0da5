"""Rules about a single probe."""

from __future__ import annotations

from collections.abc import Iterator

from blackstart.plan.content import Probe
from blackstart.plan.promql import hides_absence, is_selector, ranges
from blackstart.plan.rules import Rules
from blackstart.probes import promql
from blackstart.schema.errors import Finding, KeyPath, unknown

PROBE_RULES: Rules[Probe] = Rules()

_FASTEST_SCRAPE = 1.0


@PROBE_RULES.add("BS301", "error", "A range in a PromQL query covers at least two scrapes.")
def _two_scrapes(probe: Probe) -> Iterator[Finding]:
    query = getattr(probe.spec, "query", None)
    if not isinstance(query, str):
        return
    known = [r.prometheus.scrape for r in probe.fleet.regions.values() if r.prometheus] if probe.fleet else []
    scrape = max((s for s in known if s), default=_FASTEST_SCRAPE)
    for text, seconds in ranges(query):
        if seconds < 2 * scrape:
            message = f"range [{text}] is shorter than two scrapes: its rate would be empty"
            yield probe.document.finding(("query",), message, f"make it at least {2 * scrape:g}s")


@PROBE_RULES.add(
    "BS302", "error", "The fleet has a region, service, store, place or link for every one that a probe names."
)
def _roles(probe: Probe) -> Iterator[Finding]:
    fleet = probe.fleet
    if fleet is None:
        return
    for key, names in (
        ("regions", fleet.players(fleet.regions)),
        ("of", fleet.players(fleet.regions)),
        ("service", fleet.players(fleet.services)),
        ("store", fleet.players(fleet.stores)),
        ("place", list(fleet.places)),
        ("link", list(fleet.links)),
    ):
        value = getattr(probe.spec, key, None)
        for i, name in enumerate(value if isinstance(value, list) else [value]):
            if name is not None and name not in names:
                path: KeyPath = (key, i) if isinstance(value, list) else (key,)
                yield probe.document.finding(path, unknown(f"name in fleet {fleet.fleet!r}", name, names))


@PROBE_RULES.add(
    "BS303",
    "warning",
    "A PromQL query makes no number of series that are not there.",
    why="A lost region has no series. `or vector(0)` then says 0, `absent()` says 1: a number, and nothing was read.",
    fix="where none is truly zero, take the zero of series that are always there: `or 0 * sum(up{...})`",
)
def _hides_absence(probe: Probe) -> Iterator[Finding]:
    if isinstance(probe.spec, promql.Spec) and (what := hides_absence(probe.spec.query)):
        yield probe.document.finding(("query",), f"`{what}` answers for series that are not there")


@PROBE_RULES.add(
    "BS304",
    "error",
    "`fresh` selects raw series, of `$region` where the query does.",
    why="timestamp() of anything but a plain selector is the time of the query: the age would always be 0. "
    "Without `$region` a lost region spoils the answer about every other one.",
)
def _fresh(probe: Probe) -> Iterator[Finding]:
    spec = probe.spec
    if not isinstance(spec, promql.Spec):
        return
    if not is_selector(spec.fresh):
        text = f"{spec.fresh!r} is no plain selector, so its samples would always be 0 s old"
        yield probe.document.finding(("fresh",), text, 'write it like up{job="shop", region="$region"}')
    if "$region" in spec.query and "$region" not in spec.fresh:
        text = "asks for the series of all regions, the query for those of one"
        yield probe.document.finding(("fresh",), text, 'add: region="$region"')


@PROBE_RULES.add(
    "BS305",
    "error",
    "The fleet has the global view that a probe asks, and says who must answer there for each region.",
)
def _sources(probe: Probe) -> Iterator[Finding]:
    fleet, spec = probe.fleet, probe.spec
    if fleet is None or not isinstance(spec, promql.Spec) or spec.at == "regions":
        return
    key = "prometheus" if spec.at == "fleet" else "federation"
    view = fleet.prometheus if spec.at == "fleet" else fleet.federation
    if view is None:
        text = f"fleet {fleet.fleet!r} has no `{key}` that sees every region"
        yield probe.document.finding(("at",), text, f"add `{key}` at the top of fleet.yaml")
        return
    listed, known = ("jobs", view.jobs) if spec.at == "federation" else ("stores", view.stores)
    if spec.at == "fleet" and view.kind != "thanos":
        return
    regions = [fleet.roles.get(role, role) for role in spec.regions] or list(fleet.regions)
    if absent := [region for region in regions if region in fleet.regions and region not in known]:
        text = (
            f"`{key}.{listed}` in fleet.yaml names no one for {', '.join(absent)}, so a lost one would go unnoticed"
        )
        yield probe.document.finding(("at",), text)
