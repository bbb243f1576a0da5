"""What the truth of replicated data is compared by finds each way in which a result could be wrong."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blackstart.lab.data import CACHE, DATABASE
from blackstart.schema.result import Result, Verdict
from blackstart.schema.result_writes import LostWriteResult, StoreWrites

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))
from datatruth import Truth, compare, fates, in_append_only_file, in_binary_log

ORDERS, KEYS = (DATABASE, "orders"), (CACHE, "orders")
CUT = 50.0
THEN = {"a": "ok", "b": "ok", "c": "failed", "d": "indeterminate", "e": "indeterminate"}
"""Outcomes before the failover was read; `f` and `g` came later. The standby never got `a`, and got `d`."""


def line(**body: Any) -> str:
    return json.dumps(body) + "\n"


def ledger() -> str:
    text = line(ledger="20260101-000000-abcd")
    for at, (name, result) in enumerate({**THEN, "f": "ok", "g": "indeterminate"}.items()):
        t = float(at if name in THEN else CUT + at)
        text += line(intent=name, t=t)
        if name != "e":
            text += line(outcome=name, result=result, sent=t, answered=t + 0.5)
    return text


def told(place: tuple[str, str], moment: str, member: str, **said: Any) -> StoreWrites:
    store, record = place
    before = {"acknowledged": 2, "failed": 1, "indeterminate": 2, "lost": 1, "new": 1, "recovered": 1, "ids": 2}
    after = {**before, "acknowledged": 3, "indeterminate": 3, "new": 0, "ids": 3}
    counts = before if moment == "failover" else after
    who = {"service": "s", "store": store, "record": record, "moment": moment, "member": member}
    lost = [LostWriteResult(id="a", acknowledged_s=-1)]
    return StoreWrites.model_validate({**who, "writable": True, "lost_writes": lost, **counts, **said})


def result(verdict: Verdict = Verdict.FAIL, **said: Any) -> Result:
    """A true one, but for what is `said` of the database after the fail-back in `us`."""
    writes = [
        each
        for place in (ORDERS, KEYS)
        for each in (
            told(place, "failover", "us", writable=None, no_data="timeout"),
            told(place, "failover", "eu"),
            told(place, "failback", "us", **(said if place == ORDERS else {})),
            told(place, "failback", "eu", writable=False, lost_writes=[]),
        )
    ]
    known = {"run_id": "r", "drill": "d", "fleet": "f", "sentence": "", "reasons": [], "exit_code": 10, "score": None}
    empty = {"objectives": [], "clock": {}, "faults": [], "undo": {"outstanding": []}, "versions": {}, "digests": {}}
    return Result.model_validate(
        {**known, **empty, "verdict": verdict, "writes": writes, "started": "2026", "ended": None}
    )


def evidence() -> str:
    reads = [("failover", CUT), ("failover", CUT + 1), ("failback", 100.0)]
    return line(t=1.0, body={"type": "header"}) + "".join(
        line(t=t, body={"type": "store_read", "moment": moment}) for moment, t in reads
    )


def truth() -> Truth:
    """`f` is in the promoted server by the time that it is read here."""
    both = {ORDERS: ["b", "d", "f"], KEYS: ["b", "d", "f"]}
    return Truth({ORDERS: ["a", "b", "d"], KEYS: ["a", "b", "d"]}, both, {"us": both, "eu": both})


def test_a_true_result_agrees() -> None:
    found = compare(result(), ledger(), evidence(), truth())
    assert found.wrong == []
    assert (found.lost, found.acknowledged) == ({ORDERS: (1, 1), KEYS: (1, 1)}, 3)


@pytest.mark.parametrize(
    "said",
    [
        {"lost": 0},
        {"new": 1},
        {"acknowledged": 2},
        {"recovered": 0},
        {"ids": 4},
        {"failed": 0},
        {"indeterminate": 2},
        {"phantom": 1},
        {"duplicated": 1},
        {"lost_writes": []},
        {"lost_writes": [{"id": "b", "acknowledged_s": -1}]},
        {"no_data": "timeout"},
    ],
)
def test_each_wrong_word_is_found(said: dict[str, Any]) -> None:
    (wrong,) = compare(result(**said), ledger(), evidence(), truth()).wrong
    assert wrong.startswith(f"{DATABASE}/orders in us after the failback: ")


def test_a_pass_with_losses_is_wrong() -> None:
    assert compare(result(Verdict.PASS), ledger(), evidence(), truth()).wrong == ["PASS, and writes are lost"]


def test_a_loss_that_the_old_primary_never_had_is_no_loss_of_replication() -> None:
    without = replace(truth(), dead={ORDERS: ["b", "d"], KEYS: ["a", "b", "d"]})
    (wrong,) = compare(result(), ledger(), evidence(), without).wrong
    assert "never had" in wrong


@pytest.mark.parametrize("there", [["b", "d", "f", "x"], ["b", "c", "d", "f"], ["b", "b", "d", "f"]])
def test_rows_that_should_not_be_there_are_found(there: list[str]) -> None:
    """Never meant; refused; twice."""
    held = {ORDERS: there, KEYS: ["b", "d", "f"]}
    found = compare(result(), ledger(), evidence(), replace(truth(), failover=held))
    assert [wrong for wrong in found.wrong if f"{DATABASE}/orders in eu after the failover" in wrong]


def test_half_a_ledger_is_only_what_was_known_then() -> None:
    assert {name: fate.result for name, fate in fates(ledger(), CUT).items()} == THEN


def test_what_a_dead_primary_had() -> None:
    row = "### INSERT INTO `shop`.`{}`\n### SET\n###   @1=7\n###   @2='{}'\n###   @3=1764114000.1\n"
    text = row.format("orders", "r.1") + row.format("outbox", "r.2") + row.format("orders", "other.3")
    assert in_binary_log(text, "r.") == {"r.1"}
    commands = b"*3\r\n$3\r\nSET\r\n$9\r\norder:r.1\r\n$1\r\n1\r\n*2\r\n$3\r\nDEL\r\n$11\r\norder:other.3\r\n"
    assert in_append_only_file(commands, "r.") == {"r.1"}
