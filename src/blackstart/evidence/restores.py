"""What a run writes down of a backup that it restored. No content of any object, no secrets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from blackstart.evidence.record import Record

Outcome = Literal["proven", "missing", "differs", "unproven"]


class Tally(Record):
    """Objects of one kind: as in the backup, not there, there but not the same, not compared; not in the backup."""

    proven: int = 0
    missing: int = 0
    differs: int = 0
    unproven: int = 0
    extra: int = 0


class RestoredObject(Record):
    """One object of a backup, `kind` as Velero names it, and what became of it."""

    kind: str
    name: str
    outcome: Outcome
    detail: str = ""


class Rows(Record):
    """Rows of a table in a dump, and how many there must be at least; None: that is not known."""

    found: int
    fewest: int | None


class Restored(Record):
    """A step `restore`, once it is over, however it ended. Times are seconds of the run's clock.

    `begun`: the step; `present`: the region knows the backup; `created`: the
    Restore; `ended`: Velero is done; `ready`: every workload is; `serving`:
    every service answered. None: it did not come to that. `brought`: how the
    region came to know the backup. `backup_started`: UTC, by the clock of the
    cluster that made it, whole seconds. `left_out`: objects that controllers
    make anew or the filters leave out, by kind. `objections`: what speaks
    against the restore besides objects. `problem`: why it went no further.
    """

    type: Literal["restored"] = "restored"
    step: str
    source: str
    target: str
    namespaces: dict[str, str] = Field(description="in the backup -> now")
    services: list[str] = []
    backup: str = ""
    schedule: str = ""
    backup_started: str | None = None
    brought: Literal["there", "synced", "posted"] | None = None
    restore: str = ""
    phase: str = ""
    errors: int = 0
    warnings: int = 0
    begun: float
    present: float | None = None
    created: float | None = None
    ended: float | None = None
    ready: float | None = None
    serving: float | None = None
    tallies: dict[str, Tally] = {}
    objects: list[RestoredObject] = []
    left_out: dict[str, int] = {}
    objections: list[str] = []
    unknown: list[str] = Field(default=[], description="what could not be compared besides objects")
    dump: str = Field(default="", description="the key of the database dump that belongs to the backup")
    rows: dict[str, Rows] = Field(default={}, description="what the dump holds, by DATABASE.TABLE")
    answered: list[str] = Field(default=[], description="which restored service answered where")
    problem: str = ""
