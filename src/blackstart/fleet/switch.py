"""How a part of a fleet is killed and brought back."""

from __future__ import annotations

from pydantic import Field

from blackstart.schema.base import Model, Seconds


class Power(Model):
    """Commands that take a region, or a part of it, away as a real loss would, and bring it back with its data.

    Both run to completion within `deadline` seconds, are idempotent, and exit
    0 only when done. `state` prints `up`, `dead` or `frozen`. `freeze`, where
    there is one, stops it where it stands; `restore` lets it go on.
    """

    kill: list[str] = Field(min_length=1)
    restore: list[str] = Field(min_length=1)
    state: list[str] = Field(min_length=1)
    freeze: list[str] | None = Field(default=None, min_length=1)
    deadline: Seconds = 120.0
