"""What the servers' own data say of a run's numbered writes, and whether its result says the same.

Nothing here goes through the ledger's readers or its checker: the ledger's
lines are parsed anew, rows come by the `mariadb` client as root, keys by
redis-cli, and what a dead primary had by its binary log and append-only file.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from blackstart.lab.data import CACHE, DATABASE, KINDS
from blackstart.lab.dataregion import RegionData
from blackstart.lab.shell import LabError, run
from blackstart.schema.result import Result, Verdict
from blackstart.schema.result_writes import StoreWrites

OLD, NEW = "us", "eu"
"""The region of the primaries, and the one where they are promoted."""
READ = 30.0
"""Seconds to read a server."""
LISTED = 200
"""Lost writes that a result names; the oldest."""
TABLES = {"orders": "request_id", "events": "id"}
Place = tuple[str, str]
"""A store, and a record in it."""
Ids = Mapping[Place, Sequence[str]]


class Fate(NamedTuple):
    """A write that was meant: what came of it, and when that was known."""

    result: str
    answered: float


def fates(ledger: str, until: float = inf) -> dict[str, Fate]:
    """The lines of a ledger that were written until a time of the monotonic clock."""
    found: dict[str, Fate] = {}
    for line in map(json.loads, ledger.splitlines()[1:]):
        if "intent" in line and line["t"] <= until:
            found[line["intent"]] = Fate("indeterminate", inf)
        elif "outcome" in line and line["answered"] <= until:
            found[line["outcome"]] = Fate(line["result"], line["answered"])
    return found


def differences(said: StoreWrites, told: Mapping[str, Fate], there: Sequence[str], before: set[str]) -> list[str]:
    """What a result says otherwise than the ids that are `there`. `before`: ids that were lost already."""
    count, held = Counter(fate.result for fate in told.values()), Counter(there)
    lost = lost_of(told, there)
    true = {
        "acknowledged": count["ok"],
        "failed": count["failed"],
        "indeterminate": count["indeterminate"],
        "lost": len(lost),
        "new": len(set(lost) - before),
        "recovered": sum(told[name].result == "indeterminate" for name in held if name in told),
        "ids": len(held),
        "duplicated": sum(times > 1 for times in held.values()),
        "phantom": sum(name not in told or told[name].result == "failed" for name in held),
    }
    where = f"{said.store}/{said.record} in {said.member} after the {said.moment}"
    if said.no_data:
        return [f"{where}: not read ({said.no_data})"]
    told_of = {what: getattr(said, what) for what in true}
    found = [f"{where}: {n} {what}, told {told_of[what]}" for what, n in true.items() if told_of[what] != n]
    if said.writable and [write.id for write in said.lost_writes] != lost[:LISTED]:
        found.append(f"{where}: other lost ids are named")
    return found


def lost_of(told: Mapping[str, Fate], there: Sequence[str]) -> list[str]:
    """Acknowledged writes that are not there, oldest acknowledgement first."""
    missing = {name for name, fate in told.items() if fate.result == "ok"} - set(there)
    return sorted(missing, key=lambda name: told[name].answered)


def in_binary_log(text: str, prefix: str) -> set[str]:
    """Ids of orders in what mariadb-binlog prints."""
    row = rf"### INSERT INTO `shop`\.`orders`\n### SET\n###   @1=.*\n###   @2='({re.escape(prefix)}[^']+)'"
    return set(re.findall(row, text))


def in_append_only_file(text: bytes, prefix: str) -> set[str]:
    """Ids of orders in a file of Redis's commands."""
    return {name.decode() for name in re.findall(rb"\border:(%b[\w.]+)" % re.escape(prefix).encode(), text)}


@dataclass(frozen=True)
class Truth:
    """What a run's servers held: the dead primary, the promoted one at the failover, both after the fail-back."""

    dead: Ids
    failover: Ids
    failback: Mapping[str, Ids]


@dataclass(frozen=True)
class Compared:
    """`wrong`: what a result says otherwise; `lost`: by place those after the failover, told and true."""

    wrong: Sequence[str]
    lost: Mapping[Place, tuple[int, int]]
    acknowledged: int


def compare(result: Result, ledger: str, evidence: str, truth: Truth) -> Compared:
    """A result with the truth, by the text of ledger.ndjson; evidence.ndjson says when the failover's reading was."""
    lines = map(json.loads, evidence.splitlines())
    reads = [line for line in lines if line["body"].get("type") == "store_read"]
    cut = min(line["t"] for line in reads if line["body"]["moment"] == "failover")
    then, now = fates(ledger, cut), fates(ledger)
    wrong, lost = list[str](), {}
    for place in truth.failover:
        said = {(w.moment, w.member): w for w in result.writes if (w.store, w.record) == place}
        promoted = said["failover", NEW]
        # It was read a moment later than the drill did.
        there = [name for name in truth.failover[place] if name in then or name not in now]
        gone = lost_of(then, there)
        lost[place] = promoted.lost, len(gone)
        wrong += differences(promoted, then, there, set())
        for region, holds in truth.failback.items():
            wrong += differences(said["failback", region], now, holds[place], set(gone))
        if place in truth.dead and (nowhere := set(gone) - set(truth.dead[place])):
            wrong.append(f"{place[0]}: {len(nowhere)} acknowledged writes are lost that the old primary never had")
        if said["failover", OLD].no_data is None or not promoted.writable:
            wrong.append(f"{place[0]}: the dead primary was read, or the promoted one takes no writes")
    if result.verdict is Verdict.PASS and any(true for _, true in lost.values()):
        wrong.append("PASS, and writes are lost")
    return Compared(wrong, lost, sum(fate.result == "ok" for fate in now.values()))


def held(server: RegionData, prefix: str) -> Ids:
    """The ids that servers hold now, by their own clients. Raises LabError."""
    found: dict[Place, Sequence[str]] = {}
    for table, key in TABLES.items():
        rows = f"SELECT {key} FROM shop.{table} WHERE {key} LIKE '{prefix}%'"  # noqa: S608 - of this run
        found[DATABASE, table] = server.sql(rows, READ).split()
    keys = server.redis(f"KEYS order:{prefix}*", timeout=READ)
    return {**found, (CACHE, "orders"): [key.removeprefix("order:") for key in keys]}


def left_by(server: RegionData, prefix: str, begun: float) -> Ids:
    """The ids that dead servers left on the disk, in what they wrote since `begun` (time.time). Raises LabError.

    No events: some may have been in the outbox alone.
    """
    if any(server.alive(kind) for kind in KINDS):
        raise LabError(f"the stores of {server.site.region} are not dead")
    logs = [str(f) for f in sorted(server.folder("mariadb").glob("bin.0*")) if f.stat().st_mtime >= begun]
    options = ["--no-defaults", "--base64-output=DECODE-ROWS", "--verbose"]
    rows = in_binary_log(run(["mariadb-binlog", *options, *logs], timeout=READ), prefix)
    files = [file.read_bytes() for file in server.folder("redis").glob("appendonlydir/*.aof")]
    keys = {key for text in files for key in in_append_only_file(text, prefix)}
    return {(DATABASE, "orders"): sorted(rows), (CACHE, "orders"): sorted(keys)}
