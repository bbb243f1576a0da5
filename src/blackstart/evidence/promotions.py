"""Which stores have their primary away from home, on disk before that changes.

A promotion is no fault and is never undone by itself, but it must not be
forgotten either. One file for each store, `promotions/<fleet>.<store>.<digest>.json`,
replaced whole at each change; it goes when the primary is home again. The
digest is of the UIDs of the store's clusters: another fleet of the same name
has records of its own.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from blackstart.evidence.undo import UndoError, make_folder, now, state_folder, sync_folder, write_whole
from blackstart.fleet.model import Fleet


class Promotion(BaseModel):
    """Where the primary of a store is, and how far a step that moves it has come.

    `stage`: `begun` (`region` is to become the primary in place of `was`),
    `drained` (it has all that it will ever get), `promoted`. `rebuilding`: regions whose data
    is incomplete because they are being filled anew. `fences`: region -> the
    setting that its fence replaced. `run`: who wrote it last; `fleet_file`:
    absolute; `clusters`: region -> UID, of the store's regions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    run: str
    fleet: str
    fleet_file: str
    clusters: dict[str, str]
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

    def of(self, fleet: Fleet) -> bool:
        """Whether it is of this very fleet, not of another one of that name."""
        return self.fleet == fleet.fleet and self.clusters == clusters_of(fleet, self.store)

    @property
    def advice(self) -> str:
        """The next step for people."""
        region = self.home if self.region != self.home else (*self.rebuilding, "the replica")[0]
        return (
            f"let {region} rejoin or rebuild it, then switch back to {self.home} (a drill's `failback_procedure`, or "
            "by hand); `blackstart recover` closes this once replication is as fleet.yaml says"
        )


def clusters_of(fleet: Fleet, store: str) -> dict[str, str]:
    """Region -> UID of the clusters of a store; empty where the fleet has no such store."""
    members = fleet.stores[store].members if store in fleet.stores else {}
    return {region: fleet.regions[region].cluster.uid for region in members}


class Promotions:
    """The records below one state folder."""

    def __init__(self, root: Path | None = None) -> None:
        self._folder = (root or state_folder()).absolute() / "promotions"

    def find(self, fleet: Fleet, store: str) -> Promotion | None:
        """The record of a store; None while it is at home. Raises UndoError when it cannot be read."""
        path = self._path(fleet.fleet, store, clusters_of(fleet, store))
        try:
            return Promotion.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise UndoError(f"{path}: cannot be read; look at the store by hand, then remove it") from error

    def put(self, promotion: Promotion) -> Promotion:
        """Write a record down, durably. Raises UndoError: nothing may be changed then."""
        found = promotion.model_copy(update={"at": now()})
        try:
            make_folder(self._folder)
            write_whole(self.path(found), found.model_dump_json().encode())
        except OSError as error:
            raise UndoError(f"{self._folder}: cannot write the record of {found.store}: {error.strerror}") from error
        return found

    def close(self, promotion: Promotion) -> None:
        """The store is at home again, or gone. Raises UndoError."""
        path = self.path(promotion)
        try:
            path.unlink(missing_ok=True)
            if self._folder.is_dir():
                sync_folder(self._folder)
        except OSError as error:
            raise UndoError(f"{path}: cannot be removed: {error.strerror}") from error

    def forget(self, fleet: Fleet) -> None:
        """Close all that was written of a fleet: its stores are no more. Raises UndoError."""
        for found in self.read()[0]:
            if found.of(fleet):
                self.close(found)

    def read(self) -> tuple[list[Promotion], list[Path]]:
        """Every record, and the files that cannot be read."""
        found, damaged = [], []
        for path in sorted(self._folder.glob("[!.]*.json")):
            try:
                found.append(Promotion.model_validate_json(path.read_bytes()))
            except (OSError, ValidationError):
                damaged.append(path)
        return found, damaged

    def path(self, promotion: Promotion) -> Path:
        """The file of a record."""
        return self._path(promotion.fleet, promotion.store, promotion.clusters)

    def _path(self, fleet: str, store: str, clusters: dict[str, str]) -> Path:
        digest = sha256(json.dumps(clusters, sort_keys=True).encode()).hexdigest()[:8]
        return self._folder / f"{quote(fleet, safe='')}.{quote(store, safe='')}.{digest}.json"
