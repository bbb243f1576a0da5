"""One file per kind of probe.

A module of this package that has a `Spec` is a kind, and its name is the
kind's name: adding a kind is adding a file.
"""

from __future__ import annotations

import asyncio
import logging
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import cast

from blackstart.evidence.records import Reading, Reason
from blackstart.probes.base import Kind, Look, NoData, ProbeSpec, Scope, Split
from blackstart.schema.errors import ContentError, unknown
from blackstart.schema.source import parse
from blackstart.schema.source import read as read_document

_LOG = logging.getLogger(__name__)
_DETAIL = 500


def kinds() -> dict[str, type[ProbeSpec]]:
    """Every kind of probe and the model of its file."""
    specs = {name: _spec(name) for name in _names()}
    return {name: spec for name, spec in specs.items() if spec}


def load_probe(path: Path) -> ProbeSpec:
    """The probe that a file of probes/*.yaml describes. Raises ContentError."""
    document = read_document(path)
    kind = document.data.get("kind") if isinstance(document.data, dict) else None
    if kind is None:
        raise ContentError([document.finding((), f"needs a `kind`: {', '.join(kinds())}")])
    # Only this kind is imported: some bring clients that take a second to load.
    spec = _spec(kind) if kind in _names() else None
    if spec is None:
        raise ContentError([document.finding(("kind",), unknown("kind of probe", kind, kinds()))])
    return parse(document, spec)


async def read(spec: ProbeSpec, scope: Scope) -> list[Reading]:
    """One look: a reading per key, each within `spec.deadline`, each with a value or with the reason for having none.

    Never raises: a mistake in the probe's own code is logged and read as `malformed`.
    """
    try:
        looks = _module(spec.kind).looks(spec, scope)
    except Exception as error:  # noqa: BLE001 - a probe that cannot begin is a reading without data, not a dead run
        return [_no_data(spec, "", error)]
    return list(await asyncio.gather(*(_reading(spec, key, look) for key, look in looks.items())))


def parts(spec: ProbeSpec, scope: Scope) -> list[ProbeSpec]:
    """What of a probe is read at its own pace: a key that answers late must not make the looks at others late."""
    split = cast(Split, _module(spec.kind)) if spec.kind in _names() else None
    if split is None or not hasattr(split, "parts"):
        return [spec]
    try:
        return list(split.parts(spec, scope))
    except NoData:
        # The look itself will say why.
        return [spec]


async def _reading(spec: ProbeSpec, key: str, look: Look) -> Reading:
    try:
        async with asyncio.timeout(spec.deadline):
            seen = await look
    except Exception as error:  # noqa: BLE001 - whatever a look meets is a reading without data, not a dead run
        return _no_data(spec, key, error)
    detail = seen.detail[:_DETAIL]
    return Reading(probe=spec.probe, key=key, value=seen.value, age=seen.age, detail=detail, plain=seen.plain)


def _no_data(spec: ProbeSpec, key: str, error: Exception) -> Reading:
    if isinstance(error, TimeoutError):
        error = NoData(Reason.TIMEOUT, f"no answer within {spec.deadline:g} s")
    elif not isinstance(error, NoData):
        _LOG.error("probe %s: %s", spec.probe, key or spec.kind, exc_info=error)
        error = NoData(Reason.MALFORMED, f"{type(error).__name__}: {error}")
    detail = error.detail[:_DETAIL]
    return Reading(probe=spec.probe, key=key, no_data=error.reason, detail=detail, plain=error.plain)


def _names() -> list[str]:
    return sorted(name for _, name, _ in pkgutil.iter_modules(__path__))


def _spec(name: str) -> type[ProbeSpec] | None:
    return getattr(import_module(f"{__name__}.{name}"), "Spec", None)


def _module(kind: str) -> Kind:
    return cast(Kind, import_module(f"{__name__}.{kind}"))
