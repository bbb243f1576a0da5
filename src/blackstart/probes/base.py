"""What every probe has in common.

A kind of probe is one module `blackstart.probes.<kind>` with a model `Spec`
(what probes/*.yaml may say) and `looks(spec, scope)`: a coroutine per key,
each of which returns a Value or raises NoData. `blackstart.probes.read` keeps
the deadline and turns whatever happens into readings; nothing retries.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field

from blackstart.evidence.records import Reason
from blackstart.fleet.model import Fleet
from blackstart.schema.base import Model, Seconds
from blackstart.schema.drill import Name


class ProbeSpec(Model):
    """What every probe says: its name, its kind, how often it looks, and how long one look may take."""

    probe: Name
    kind: str
    title: str = ""
    every: Seconds = Field(default=1.0, gt=0)
    deadline: Seconds = Field(default=2.0, gt=0)


@dataclass(frozen=True)
class Scope:
    """What a probe may need to know of the run: the fleet, and who is a victim and who is not.

    `memory` is what looks leave for the next one, by probe and key: counters say only how much they grew.
    """

    fleet: Fleet
    victims: tuple[str, ...] = ()
    survivors: tuple[str, ...] = ()
    services: dict[str, str] = field(default_factory=dict)
    folder: Path = Path()
    memory: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)

    def regions(self, roles: list[str]) -> list[str]:
        """The regions that play `roles`; all regions of the fleet when none is named. Raises NoData."""
        names = [self.resolve(role) for role in roles] or list(self.fleet.regions)
        for name in names:
            if name not in self.fleet.regions:
                raise NoData(Reason.MALFORMED, f"{name!r} is not a region of fleet {self.fleet.fleet!r}")
        return names

    def resolve(self, role: str) -> str:
        """The region or service that plays `role`. Raises NoData."""
        try:
            return self.services.get(role) or self.fleet.resolve(role)
        except KeyError as error:
            raise NoData(Reason.MALFORMED, str(error.args[0])) from None


@dataclass(frozen=True)
class Value:
    """What a look saw. `age`: of the newest sample behind it, seconds. `plain`: as in a Reading."""

    value: float
    age: float | None = None
    detail: str = ""
    plain: float | None = None


class NoData(Exception):  # noqa: N818 - an answer, not a mistake
    """A look that saw nothing, and why. `plain`: as in a Reading."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
        self.plain: float | None = None


Look = Coroutine[Any, Any, Value]


class Kind(Protocol):
    """The module of one kind of probe."""

    Spec: type[ProbeSpec]

    @staticmethod
    def looks(spec: Any, scope: Scope) -> dict[str, Look]:
        """One look for each key, not yet begun. Raises NoData when the fleet lacks what the probe needs."""


class Split(Protocol):
    """A kind whose keys are read each at its own pace has `parts` besides."""

    @staticmethod
    def parts(spec: Any, scope: Scope) -> list[Any]:
        """The probe as several, each with some of its keys. Raises NoData as `looks` does."""
