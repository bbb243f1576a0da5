"""Records of the ledger: what its writers did, and what stores were found to hold."""

from __future__ import annotations

from typing import Literal

from blackstart.evidence.record import Reason, Record


class Writes(Record):
    """What the ledger's writers did since the record before, about a second.

    sent: writes that were sent; ok, failed, indeterminate: outcomes that came.
    `taken`: of the ok, how many at each region's own entry, where the writers
    come in at several. `lines`, `digest`: how many lines ledger.ndjson had on the disk by then,
    and the SHA-256 (hex) of all of them.
    """

    type: Literal["writes"] = "writes"
    service: str
    state: Literal["running", "paused", "stopped"]
    sent: int
    ok: int
    failed: int
    indeterminate: int
    lines: int
    digest: str
    taken: dict[str, int] = {}


class LostWrite(Record):
    """An acknowledged write that is missing: when it was acknowledged (monotonic seconds), and who said so."""

    id: str
    acknowledged: float
    by: str = ""


class Span(Record):
    """So many acknowledged writes are missing, acknowledged from `first` to `last` (monotonic seconds)."""

    count: int
    first: float | None = None
    last: float | None = None


class Different(Record):
    """An id that not every member holds, or not with the same content (`differs`).

    `held`, `missing`: members. `acknowledged`: when (monotonic seconds), by
    whom; None where it was not, or the ledger does not know the id.
    """

    id: str
    held: list[str]
    missing: list[str]
    differs: bool = False
    acknowledged: float | None = None
    by: str = ""


class Convergence(Record):
    """Whether all members of a multi-active store hold the same in one record, read after the fail-back, at rest.

    members: who was read and takes writes; `unread`: why others say nothing.
    Of the writes that were acknowledged before the fail-back began: `behind`
    is when the last look began at which a member lacked one, `level` when the
    first ended at which none did (monotonic seconds; None: there was none).
    content: whether more than ids was compared. different: ids that are not everywhere the same; `examples`: some of
    them; `replication`: what members say of it then.
    """

    type: Literal["convergence"] = "convergence"
    store: str
    record: str
    members: list[str]
    unread: list[str] = []
    acknowledged: int = 0
    content: bool = False
    behind: float | None = None
    level: float | None = None
    different: int = 0
    examples: list[Different] = []
    replication: list[str] = []


class StoreRead(Record):
    """All ids of this run in one record of one member of a store, read in full, beside what the ledger says of them.

    moment: `failover`, at the end of the hold, or `failback`, in the settle
    phase. `server` answered; `writable`: whether it takes writes. With
    `no_data` nothing is known but `detail`. `ids`, `digest`: how many
    different ones, and the SHA-256 (hex) of all in their order. `newest`: when
    the newest acknowledged write that is there was acknowledged. `lost`: all
    that are missing; `new`: of those, what was not lost at the moment before.
    `examples`: the oldest of the lost; `odd`: some of the duplicated, phantom
    and reordered ones. What each word means: blackstart.ledger.checker.
    """

    type: Literal["store_read"] = "store_read"
    moment: Literal["failover", "failback"]
    store: str
    record: str
    member: str
    server: str = ""
    writable: bool | None = None
    no_data: Reason | None = None
    detail: str = ""
    ids: int = 0
    digest: str = ""
    newest: float | None = None
    acknowledged: int = 0
    failed: int = 0
    indeterminate: int = 0
    lost: Span = Span(count=0)
    new: Span = Span(count=0)
    recovered: int = 0
    duplicated: int = 0
    phantom: int = 0
    reordered: int = 0
    gaps: int = 0
    examples: list[LostWrite] = []
    odd: list[str] = []
