"""The base of every content model: strict, frozen, with units."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationInfo, WithJsonSchema

NAME = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
"""What drills, probes and experiments may be called: the name is a file's name too."""

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


class Model(BaseModel):
    """A content model: unknown keys are errors, values do not change once read.

    Read from a file (blackstart.schema.source passes a validation context)
    quantities need their units; built in code or from evidence they are
    plain seconds and ratios.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse_duration(value: object) -> object:
    """Seconds of a text such as `30s`, `500ms` or `1m30s`.

    Anything that is not text is passed on: code builds models from seconds.
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


def _duration(value: object, info: ValidationInfo) -> object:
    if info.context and not isinstance(value, str):
        raise ValueError(f"{json.dumps(value)} has no unit; write a duration: 500ms, 30s, 1m30s")
    return parse_duration(value)


def _ratio(value: object, info: ValidationInfo) -> object:
    if info.context and not isinstance(value, str):
        raise ValueError(f"{json.dumps(value)} has no unit; write a share in percent: 99.9%")
    return parse_ratio(value)


def _beside(path: Path, info: ValidationInfo) -> Path:
    return info.context["folder"] / path if info.context else path


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of plain data: sorted keys, no white space, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


Seconds = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["30s", "500ms"]}),
]
"""A duration in seconds; in files a text with a unit."""

Ratio = Annotated[
    float,
    BeforeValidator(_ratio),
    WithJsonSchema({"type": "string", "pattern": f"^{_PERCENT.pattern}$", "examples": ["99.9%"]}),
]
"""A share, 0 to 1; in files a text in percent."""

LocalPath = Annotated[Path, AfterValidator(_beside)]
"""A path; in files relative to the folder of the file that names it."""
