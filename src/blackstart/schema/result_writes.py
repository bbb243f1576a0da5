"""What result.json says of the ledger: what each store had of the acknowledged writes."""

from __future__ import annotations

from blackstart.schema.base import Model


class LostWriteResult(Model):
    """An acknowledged write that is missing.

    `acknowledged_s`: when, seconds after T0 (negative: before). `by`: who
    said so. `replication`: what the store's probes had last said by then.
    """

    id: str
    acknowledged_s: float
    by: str = ""
    replication: str = ""


class StoreWrites(Model):
    """What became of the numbered writes in one record of one member of a store, after `moment`.

    Only members that take writes (`writable`) are judged. `new`: lost, and
    not lost yet at the moment before. `rpo_s`: docs/verdicts.md.
    `lost_at_most`: none of n is lost, so with 95 % confidence at most this
    share of all (3/n). `lost_writes`: the oldest, at most 200. `awaited`: the
    store is multi-active, and what is missing before the fail-back is on its way.
    """

    service: str
    store: str
    record: str
    moment: str
    member: str
    server: str = ""
    writable: bool | None = None
    no_data: str | None = None
    detail: str = ""
    ids: int = 0
    acknowledged: int = 0
    failed: int = 0
    indeterminate: int = 0
    lost: int = 0
    new: int = 0
    recovered: int = 0
    duplicated: int = 0
    phantom: int = 0
    reordered: int = 0
    gaps: int = 0
    rpo_s: float | None = None
    lost_at_most: float | None = None
    lost_writes: list[LostWriteResult] = []
    awaited: bool = False
    odd: list[str] = []
