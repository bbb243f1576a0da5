"""Reads values out of objects that nobody has validated: what is not of the right kind is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_DURATION = re.compile(r"(?:\d+(?:\.\d*)?(?:ms|us|ns|h|m|s))+")
_PART = re.compile(r"(\d+(?:\.\d*)?)(ms|us|ns|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def mapping(value: Any) -> dict[str, Any]:
    """The mapping that this is, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """The mappings of a list, each with its position."""
    for i, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield i, item


def texts(value: Any) -> Iterator[tuple[int, str]]:
    """The texts of a list, each with its position."""
    for i, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, str):
            yield i, item


def text(value: Any) -> str:
    """The text that this is, or an empty one."""
    return value if isinstance(value, str) else ""


def whole(value: Any) -> int | None:
    """The whole number that this is."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def seconds(value: Any) -> float | None:
    """The seconds of a duration as Istio writes it (`1h3m2s`, `500ms`)."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))
