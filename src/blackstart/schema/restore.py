"""The step `restore` of a procedure: which backup, from where, to where, under which names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from blackstart.schema.base import Model

DERIVED = ("pods", "replicasets.apps", "endpoints", "endpointslices.discovery.k8s.io", "events")
"""What controllers make anew, as Velero names it; a restore leaves it out unless it is told otherwise."""


Table = Annotated[str, Field(pattern=r"^[A-Za-z0-9_$]+\.[A-Za-z0-9_$]+$")]
"""DATABASE.TABLE."""


class Dump(Model):
    """The SQL dump that a hook of the backup wrote into the fleet's `dumps`: its key begins with `prefix`.

    `tables`: how many rows it must have at least, by DATABASE.TABLE. `store`,
    for a `fresh` backup: the database that is dumped; what its server in
    `from` had of each table before the backup must be in the dump. That is for
    tables whose rows are not deleted meanwhile.
    """

    prefix: str = Field(min_length=1, max_length=1024)
    tables: dict[Table, Annotated[int, Field(ge=0)]] = Field(min_length=1)
    store: str | None = None


class Restore(Model):
    """Restore a Velero backup of region `from` into region `to`, both roles, and prove what came back.

    `backup`: `fresh` (the one that this run took before the fault), `newest`,
    `newest-scheduled`, or a backup's name. `namespaces`: those of the backup,
    and what each is called in `to`; without it, every namespace in which a
    service of the fleet has a workload in `from`, as NAME-dr. `tier`: of
    those, only the ones whose most critical service is of this tier.
    `include`, `exclude`: kinds of objects, as Velero names them. `existing`:
    what becomes of objects that are there already. `sync`: wait until Velero
    in `to` has noticed the backup, or `post` what the bucket says of it.
    `dump`: count the rows of a database dump that belongs to the backup.
    """

    # `from` is a word of the language; files and evidence have it all the same.
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    backup: str = Field(min_length=1, max_length=253)
    source: str = Field(alias="from")
    target: str = Field(alias="to")
    namespaces: dict[str, str] = {}
    tier: int | None = Field(default=None, ge=0, le=4)
    include: list[str] = []
    exclude: list[str] = [*DERIVED]
    existing: Literal["none", "update"] = "none"
    sync: Literal["wait", "post"] = "wait"
    dump: Dump | None = None

    @field_validator("namespaces")
    @classmethod
    def _different(cls, namespaces: dict[str, str]) -> dict[str, str]:
        if len(set(namespaces.values())) < len(namespaces):
            raise ValueError("two namespaces would be restored into one; give each its own")
        return namespaces
