"""What became of acknowledged writes, against a model that knows the truth."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from blackstart.ledger import ids
from blackstart.ledger.book import Result
from blackstart.ledger.checker import check
from blackstart.ledger.records import Write

RUN = "20260101-000000-abcd"
RESULTS: tuple[Result, ...] = ("ok", "failed", "indeterminate")


def a_write(writer: int, number: int, result: Result = "ok", t: float = 0.0) -> Write:
    return Write(f"{RUN}.{writer:03d}.{number:07d}.{0:012x}", writer, number, result, t, t + 0.5, "us/pod")


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Write], list[str]]:
    """Writes of several writers, interleaved at will, and any survivors, in any order, any number of times."""
    counts = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    turns = draw(st.permutations([w for w, n in enumerate(counts) for _ in range(n)]))
    numbers: Counter[int] = Counter()
    writes = []
    for t, writer in enumerate(turns):
        numbers[writer] += 1
        writes.append(a_write(writer, numbers[writer], draw(st.sampled_from(RESULTS)), float(t)))
    known = [w.id for w in writes]
    strangers = [a_write(8, 1).id, "nonsense", ids.make(RUN, 0, 99)]
    survivors = draw(st.lists(st.sampled_from(known + strangers), max_size=3 * len(known) + 3))
    return writes, survivors


@given(histories())
@settings(deadline=None, max_examples=400)
def test_every_write_has_the_fate_that_the_model_knows(history: tuple[list[Write], list[str]]) -> None:
    writes, survivors = history
    found = check(writes, survivors, ordered=True)
    by_id = {w.id: w for w in writes}
    assert found.acknowledged == sum(w.result == "ok" for w in writes)
    assert found.indeterminate == sum(w.result == "indeterminate" for w in writes)
    assert found.failed == sum(w.result == "failed" for w in writes)
    assert found.present == len(set(survivors))
    assert [w.id for w in found.lost] == [w.id for w in writes if w.result == "ok" and w.id not in survivors]
    assert found.recovered == len({i for i in survivors if i in by_id and by_id[i].result == "indeterminate"})
    assert set(found.phantom) == {i for i in survivors if i not in by_id or by_id[i].result == "failed"}
    assert set(found.duplicated) == {i for i in survivors if survivors.count(i) > 1}
    first = list(dict.fromkeys(i for i in survivors if i in by_id))
    late = {
        i
        for at, i in enumerate(first)
        if by_id[i].result == "ok"
        and any(by_id[j].writer == by_id[i].writer and by_id[j].number > by_id[i].number for j in first[:at])
    }
    assert set(found.reordered) == late
    holes = [
        w
        for w in found.lost
        if any(i in by_id and by_id[i].writer == w.writer and by_id[i].number > w.number for i in survivors)
    ]
    assert found.gaps == len(holes)
    there = [w.answered for w in writes if w.result == "ok" and w.id in survivors]
    assert found.newest == max(there, default=None)  # type: ignore[type-var]  # acknowledged ones have a time


@given(histories())
@settings(deadline=None)
def test_order_is_not_looked_at_where_there_is_none(history: tuple[list[Write], list[str]]) -> None:
    assert not check(*history).reordered


@given(histories(), st.integers(0))
@settings(deadline=None)
def test_one_survivor_less_never_finds_fewer_losses(history: tuple[list[Write], list[str]], at: int) -> None:
    writes, survivors = history
    fewer = survivors[: at % len(survivors)] + survivors[at % len(survivors) + 1 :] if survivors else []
    assert len(check(writes, fewer).lost) >= len(check(writes, survivors).lost)


def test_a_late_write_that_nobody_acknowledged_is_not_reordered() -> None:
    writes = [a_write(0, 1, "indeterminate"), a_write(0, 2), a_write(0, 3)]
    found = check(writes, [writes[1].id, writes[2].id, writes[0].id], ordered=True)
    assert not found.reordered
    assert found.recovered == 1


def test_the_lost_are_told_oldest_acknowledgement_first() -> None:
    writes = [a_write(0, 1, t=5.0), a_write(1, 1, t=1.0), a_write(2, 1, t=3.0)]
    lost = check(writes, []).lost
    assert [w.writer for w in lost] == [1, 2, 0]
    assert all((a.answered or 0) <= (b.answered or 0) for a, b in pairwise(lost))


def test_nothing_written_is_nothing_lost() -> None:
    found = check([], [])
    assert (found.acknowledged, found.lost, found.newest) == (0, [], None)


def test_many_writes_are_checked_in_a_moment() -> None:
    """A tenth of what bench/ledger.py measures, with much room: for a check that became quadratic."""
    writes = [a_write(i % 20, i // 20 + 1, t=float(i)) for i in range(100_000)]
    began = time.process_time()
    found = check(writes, [w.id for w in writes[:90_000]], ordered=True)
    assert len(found.lost) == 10_000
    assert time.process_time() - began < 10
