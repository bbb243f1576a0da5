"""Rules about a single probe."""

from __future__ import annotations

import re
from collections.abc import Iterator

from blackstart.plan.content import Probe
from blackstart.plan.rules import Rules
from blackstart.schema.base import parse_duration
from blackstart.schema.errors import Finding, KeyPath, unknown

PROBE_RULES: Rules[Probe] = Rules()

_RANGE = re.compile(r"\[\s*((?:\d+(?:ms|[smhdwy]))+)\s*[\]:]")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`')
_FASTEST_SCRAPE = 1.0


@PROBE_RULES.add("BS301", "error", "A range in a PromQL query covers at least two scrapes.")
def _two_scrapes(probe: Probe) -> Iterator[Finding]:
    query = getattr(probe.spec, "query", None)
    if not isinstance(query, str):
        return
    known = [r.prometheus.scrape for r in probe.fleet.regions.values() if r.prometheus] if probe.fleet else []
    scrape = max((s for s in known if s), default=_FASTEST_SCRAPE)
    for text in _RANGE.findall(_STRING.sub('""', query)):
        seconds = _seconds(text)
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


def _seconds(text: str) -> float:
    # PromQL has weeks and years as well; those are never too short.
    if text[-1] in "wy":
        return float("inf")
    return float(str(parse_duration(text)))
