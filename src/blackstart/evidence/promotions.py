"""Which stores have their primary away from home, on disk before that changes.

A promotion is no fault and is never undone by itself, but it must not be
forgotten either. One file for each store, `promotions/<fleet>.<store>.json`,
replaced whole at each change; it goes when the primary is home again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from blackstart.evidence.undo import UndoError, make_folder, now, state_folder, sync_folder, write_whole


class Promotion(BaseModel):
    """Where the primary of a store is, and how far a step that moves it has come.

    `stage`: `begun` (`region` is to become the primary in place of `was`),
    `drained` (it has all that it will ever get), `promoted`. `rebuilding`: regions whose data
    is incomplete because they are being filled anew. `fences`: region -> the
    setting that its fence replaced. `run`: who wrote it last; `fleet_file`:
    absolute.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    run: str
    fleet: str
    fleet_file: str
    store: str
    home: str
    region: str
    was: str
    stage: Literal["begun", "drained", "promoted"] = "begun"
    rebuilding: tuple[str, ...] = ()
    fences: dict[str, str] = {}
    at: str

    def __str__(self) -> str:
        half = f"; half rebuilt: {', '.join(self.rebuilding)}" if self.rebuilding else ""
        word = "has the primary" if self.stage == "promoted" else "is being made the primary"
        return f"store {self.store} of fleet {self.fleet}: {self.region} {word}, home is {self.home}{half}"

    @property
    def advice(self) -> str:
        """The next step for people."""
        region = self.home if self.region != self.home else (*self.rebuilding, "the replica")[0]
        return (
            f"let {region} rejoin or rebuild it, then switch back to {self.home} (a drill's `failback_procedure`, or "
            "by hand); `blackstart recover` closes this once replication is as fleet.yaml says"
        )


class Promotions:
    """The records below one state folder."""

    def __init__(self, root: Path | None = None) -> None:
        self._folder = (root or state_folder()).absolute() / "promotions"

    def find(self, fleet: str, store: str) -> Promotion | None:
        """The record of a store; None while it is at home. Raises UndoError when it cannot be read."""
        try:
            return Promotion.model_validate_json(self._path(fleet, store).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise UndoError(
                f"{self._path(fleet, store)}: cannot be read; look at the store by hand, then remove it"
            ) from error

    def put(self, promotion: Promotion) -> Promotion:
        """Write a record down, durably. Raises UndoError: nothing may be changed then."""
        found = promotion.model_copy(update={"at": now()})
        try:
            make_folder(self._folder)
            write_whole(self._path(found.fleet, found.store), found.model_dump_json().encode())
        except OSError as error:
            raise UndoError(f"{self._folder}: cannot write the record of {found.store}: {error.strerror}") from error
        return found

    def close(self, fleet: str, store: str) -> None:
        """The store is at home again. Raises UndoError."""
        try:
            self._path(fleet, store).unlink(missing_ok=True)
            if self._folder.is_dir():
                sync_folder(self._folder)
        except OSError as error:
            raise UndoError(f"{self._path(fleet, store)}: cannot be removed: {error.strerror}") from error

    def read(self) -> tuple[list[Promotion], list[Path]]:
        """Every record, and the files that cannot be read."""
        found, damaged = [], []
        for path in sorted(self._folder.glob("[!.]*.json")):
            try:
                found.append(Promotion.model_validate_json(path.read_bytes()))
            except (OSError, ValidationError):
                damaged.append(path)
        return found, damaged

    def _path(self, fleet: str, store: str) -> Path:
        return self._folder / f"{quote(fleet, safe='')}.{quote(store, safe='')}.json"
