"""The base of every content model: strict, frozen, with units."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


class Model(BaseModel):
    """A content model: unknown keys are errors, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse_duration(value: object) -> object:
    """Seconds of a text such as `30s`, `500ms` or `1m30s`.

    A bare number is refused: the unit is part of the value. Anything that is
    not text is passed on, so that a model can be built from seconds in code.
    """
    if isinstance(value, str):
        if not _DURATION.fullmatch(value):
            raise ValueError(f"{value!r} is not a duration; write it with a unit: 500ms, 30s, 1m30s")
        return sum(float(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(value))
    return value


def parse_ratio(value: object) -> object:
    """A ratio 0 to 1 of a text such as `99.9%`."""
    if isinstance(value, str):
        match = _PERCENT.fullmatch(value.strip())
        if match is None or float(match[1]) > 100:
            raise ValueError(f"{value!r} is not a share; write it in percent: 99.9%")
        return float(match[1]) / 100
    return value


Seconds = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["30s", "500ms"]}),
]
"""A duration in seconds; in files a text with a unit."""

Ratio = Annotated[
    float,
    BeforeValidator(parse_ratio),
    WithJsonSchema({"type": "string", "pattern": f"^{_PERCENT.pattern}$", "examples": ["99.9%"]}),
]
"""A share, 0 to 1; in files a text in percent."""
