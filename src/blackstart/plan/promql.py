"""What can be seen of a PromQL query without a parser: its ranges, its traps."""

from __future__ import annotations

import re
from collections.abc import Iterator

from blackstart.schema.base import parse_duration

_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`')
_RANGE = re.compile(r"\[\s*((?:\d+(?:ms|[smhdwy]))+)\s*[\]:]")
_OVER = re.compile(r"\bincrease\s*\([^()\[\]]*\[[^\]]*\]\s*\)")
_SELECTOR = re.compile(r"[a-zA-Z_:][\w:]*\s*(\{[^{}]*\})?|\{[^{}]*\}")
_HIDES = re.compile(r"\bor\s+(?:(?:on|ignoring)\s*\([^()]*\)\s*)?vector\s*\(|\babsent(?:_over_time)?\s*\(")


def ranges(query: str) -> Iterator[tuple[str, float]]:
    """Each range of a query as it is written, and in seconds."""
    for text in _RANGE.findall(_bare(query)):
        # PromQL has weeks and years as well; those are never too short.
        yield text, float("inf") if text[-1] in "wy" else float(str(parse_duration(text)))


def longest_range(query: str) -> float:
    """Seconds over which a query takes a mean; 0 without a range. `increase` counts, it takes no mean."""
    return max((seconds for _, seconds in ranges(_OVER.sub("", _bare(query)))), default=0.0)


def is_selector(text: str) -> bool:
    """Whether this selects raw series: a name, labels, or both, and nothing is done to them."""
    return _SELECTOR.fullmatch(_bare(text).strip()) is not None


def hides_absence(query: str) -> str | None:
    """What makes a number of series that are not there; None when nothing does."""
    found = _HIDES.search(_bare(query))
    return found[0].rstrip(" (") if found else None


def _bare(query: str) -> str:
    """Without what strings say."""
    return _STRING.sub('""', query)
