"""The steps of a procedure: what people or automation do to recover, and to go home again."""

from __future__ import annotations

from pydantic import Field, model_validator

from blackstart.schema.base import Model, Seconds
from blackstart.schema.restore import Restore as Restore


class Promote(Model):
    """Make the server of region `to` the primary of a store; both are roles."""

    store: str
    to: str


class Rejoin(Model):
    """Let the server of `region` follow the primary again, without copying anything.

    Where it has what the primary has not, it fails and says what; with
    `diverged: rebuild` it is salvaged and rebuilt then.
    """

    store: str
    region: str
    diverged: str = Field(default="refuse", pattern="^(refuse|rebuild)$")


class Rebuild(Model):
    """Salvage what only the server of `region` has, then fill it anew from the primary and let it follow."""

    store: str
    region: str


class SwitchBack(Model):
    """Planned, writers on, without loss: `to` becomes the primary, and who was it follows."""

    store: str
    to: str


KINDS = ("promote", "rejoin", "rebuild", "switch_back", "restore", "command", "manual", "wait")
"""What a step can do; each step has exactly one of them."""


class Step(Model):
    """One step, done within `deadline` or failed.

    `command` is run as it stands (no shell); `manual` is done by a person who
    confirms it; `wait` is time that people take to decide.
    """

    name: str = Field(min_length=1, max_length=80)
    deadline: Seconds = Field(default=60.0, gt=0)
    promote: Promote | None = None
    rejoin: Rejoin | None = None
    rebuild: Rebuild | None = None
    switch_back: SwitchBack | None = None
    restore: Restore | None = None
    command: list[str] | None = Field(default=None, min_length=1)
    manual: str | None = Field(default=None, min_length=1)
    wait: Seconds | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        found = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(found) != 1:
            raise ValueError(f"a step has exactly one of {', '.join(KINDS)}; found {', '.join(found) or 'none'}")
        return self

    @property
    def kind(self) -> str:
        """Which of KINDS it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def longest(self) -> float:
        """Seconds that it takes at most."""
        return self.deadline if self.wait is None else self.wait

    @property
    def on(self) -> tuple[str, str] | None:
        """The roles of the store and of the region that it is about; None where it is about none."""
        match self:
            case Step(promote=Promote(store=store, to=region)) | Step(switch_back=SwitchBack(store=store, to=region)):
                return store, region
            case Step(rejoin=Rejoin(store=store, region=region)) | Step(rebuild=Rebuild(store=store, region=region)):
                return store, region
            case _:
                return None
