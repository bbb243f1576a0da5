"""One field of a JSON document as a number.

Paths are the part of JSONPath that names a single value: keys, positions, and
a filter by equality, such as `status.conditions[?(@.type=="Ready")].status`.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator

from blackstart.evidence.records import Reason
from blackstart.probes.base import NoData

_STEP = re.compile(
    r"""\.?(?P<key>[A-Za-z_][\w-]*)
      | \[(?P<index>-?\d+)\]
      | \[(?P<quote>["'])(?P<quoted>.+?)(?P=quote)\]
      | \[\?\(@\.(?P<by>[\w-]+)\s*==\s*["'](?P<equals>[^"']*)["']\)\]""",
    re.VERBOSE,
)
_WORDS = {"true": 1.0, "false": 0.0}


def _steps(path: str) -> list[re.Match[str]]:
    steps, at = [], 1 if path.startswith("$") else 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ValueError(f'{path!r} is not a path; write it like status.conditions[?(@.type=="Ready")].status')
        steps.append(step)
        at = step.end()
    return steps


def _checked(path: str) -> str:
    _steps(path)
    return path


FieldPath = Annotated[str, AfterValidator(_checked)]


def field(document: Any, path: FieldPath, absent: float | None = None) -> float:
    """The number at `path`: numbers, true and false (1 and 0), and text of either.

    `absent` is what a missing field or null stands for; Kubernetes omits
    counters that are zero. Raises NoData: empty, malformed.
    """
    value = document
    for step in _steps(path):
        value = _follow(value, step)
    if value is None:
        if absent is None:
            raise NoData(Reason.EMPTY, f"no field {path!r}")
        return absent
    return number(value, f"field {path!r}")


def number(value: Any, what: str) -> float:
    """A JSON value as a finite number. Raises NoData."""
    if isinstance(value, str):
        value = _WORDS.get(value.lower(), value)
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise NoData(Reason.MALFORMED, f"{what} is not a number: {str(value)[:80]!r}") from None
    if math.isnan(found):
        raise NoData(Reason.EMPTY, f"{what} is NaN")
    if math.isinf(found):
        raise NoData(Reason.MALFORMED, f"{what} is infinite")
    return found


def _follow(value: Any, step: re.Match[str]) -> Any:
    if step["index"] is not None:
        index = int(step["index"])
        return value[index] if isinstance(value, list) and -len(value) <= index < len(value) else None
    if step["by"] is not None:
        items = value if isinstance(value, list) else []
        return next((i for i in items if isinstance(i, dict) and str(i.get(step["by"])) == step["equals"]), None)
    return value.get(step["key"] or step["quoted"]) if isinstance(value, dict) else None
