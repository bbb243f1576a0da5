"""What every probe has in common.

A kind of probe is one module `blackstart.probes.<kind>` with a model `Spec`
(what probes/*.yaml may say) and `async def read(spec, scope) -> list[Reading]`.
Nothing retries, everything has a deadline, and no data has a reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

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
    """What a probe may need to know of the run: the fleet, and who is a victim and who is not."""

    fleet: Fleet
    victims: tuple[str, ...] = ()
    survivors: tuple[str, ...] = ()
    services: dict[str, str] = field(default_factory=dict)
    folder: Path = Path()
