"""Rules about a single probe."""

from __future__ import annotations

import re
from collections.abc import Iterator

from blackstart.plan.content import Probe
from blackstart.plan.rules import Rules
from blackstart.schema.base import parse_duration
from blackstart.schema.errors import Finding

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


def _seconds(text: str) -> float:
    # PromQL has weeks and years as well; those are never too short.
    if text[-1] in "wy":
        return float("inf")
    return float(str(parse_duration(text)))
