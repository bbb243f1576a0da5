"""The keeper, the cuts that it renews, and the fence: on fakes, in fractions of a second."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from runkit import a_fleet

from blackstart.evidence.records import FaultState
from blackstart.evidence.undo import Store, Undo
from blackstart.faults import sever
from blackstart.faults.base import Fenced
from blackstart.fleet.lease import Lost
from blackstart.fleet.nft import Expired
from blackstart.run.orders import Orders
from blackstart.safety import cuts as cutting
from blackstart.safety.cuts import Cuts, objects_changed
from blackstart.safety.fence import Fence
from blackstart.safety.keeper import Keeper
from blackstart.safety.protection import Gone
from blackstart.schema.errors import BlackstartError

TTL = 0.5
RUN = "run-1"


@dataclass
class Thing:
    """Renewed by doing `work`."""

    name: str
    work: Callable[[], object] = lambda: None
    region: str | None = None
    renewed: int = 0

    def renew(self) -> None:
        self.renewed += 1
        self.work()


@dataclass
class Kept:
    """A keeper and what it said to be lost."""

    needed: Callable[[str], bool] = lambda region: True
    patience: float = 30.0
    lost: list[tuple[str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.told = threading.Event()
        self.keeper = Keeper(TTL, self._lost, self.needed, self.patience)

    def _lost(self, reason: str, matters: bool) -> None:
        self.lost.append((reason, matters))
        self.told.set()


def fails(error: Exception) -> Callable[[], object]:
    def work() -> None:
        raise error

    return work


def test_everything_is_renewed_five_times_a_ttl_and_one_that_hangs_delays_no_other() -> None:
    kept, stuck = Kept(), threading.Event()
    well, hangs = Thing("well"), Thing("hangs", lambda: stuck.wait(5))
    kept.keeper.keep([hangs, well])
    time.sleep(2.5 * TTL)
    kept.keeper.stop()
    stuck.set()
    assert 8 <= well.renewed <= 12
    assert hangs.renewed == 1
    assert kept.lost == []


@pytest.mark.parametrize("error", [Lost("taken by the guardian"), Expired("it has healed"), Gone("it has ended")])
def test_what_is_gone_is_lost_at_once_and_not_tried_again(error: Exception) -> None:
    kept = Kept()
    thing = Thing("the lease", fails(error))
    kept.keeper.keep([thing])
    assert kept.told.wait(TTL)
    time.sleep(TTL)
    assert kept.lost == [(f"the lease is lost: {error}", True)]
    assert thing.renewed == 1


def test_what_does_not_answer_is_lost_after_the_ttl() -> None:
    kept, began = Kept(), time.monotonic()
    kept.keeper.keep([Thing("the lease", fails(OSError("no route")))])
    assert kept.told.wait(5 * TTL)
    assert TTL < time.monotonic() - began < 2 * TTL
    time.sleep(TTL)
    kept.keeper.stop()
    assert len(kept.lost) == 1
    assert "no route" in kept.lost[0][0]


def test_an_answer_in_time_makes_good_for_what_failed() -> None:
    kept = Kept()
    thing = Thing("the lease")

    def work() -> None:
        if thing.renewed % 4:
            raise OSError("no route")

    thing.work = work
    kept.keeper.keep([thing])
    time.sleep(3 * TTL)
    kept.keeper.stop()
    assert kept.lost == []


def test_a_lease_that_no_fault_needs_does_not_matter() -> None:
    kept = Kept(needed=lambda region: region == "eu")
    kept.keeper.keep([Thing(r, fails(Lost("gone")), region=r) for r in ("us", "eu")])
    time.sleep(TTL)
    assert sorted(kept.lost) == [("eu is lost: gone", True), ("us is lost: gone", False)]


def test_what_is_not_known_to_be_unneeded_is_needed() -> None:
    def broken(region: str) -> bool:
        raise OSError("the disk is gone")

    kept = Kept(needed=broken)
    kept.keeper.keep([Thing("us", fails(Lost("gone")), region="us")])
    assert kept.told.wait(5)
    assert kept.lost == [("us is lost: gone", True)]


def test_what_was_dropped_is_not_missed() -> None:
    kept, going = Kept(), threading.Event()
    thing = Thing("the lease")

    def work() -> None:
        going.set()
        time.sleep(TTL / 2)
        raise Lost("gone")

    thing.work = work
    kept.keeper.keep([thing])
    assert going.wait(5)
    kept.keeper.drop([thing])
    time.sleep(TTL)
    assert kept.lost == []


def test_a_supervisor_that_hangs_keeps_nothing() -> None:
    kept = Kept(patience=TTL)
    thing = Thing("the lease")
    kept.keeper.keep([thing])
    time.sleep(3 * TTL)
    renewed = thing.renewed
    assert 3 <= renewed <= 6
    kept.keeper.alive()
    time.sleep(TTL)
    kept.keeper.stop()
    assert thing.renewed > renewed


# -- cuts


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def an_undo(kind: str, **data: object) -> Undo:
    return Undo(
        run=RUN,
        fault=f"{kind}-1",
        kind=kind,
        target="us",
        fleet="",
        clusters={"us": "u"},
        data=data,
        before={},
        at="",
    )


@pytest.fixture
def renewed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(cutting, "_SECOND_LOOK", 0.3)
    monkeypatch.setattr(sever.nft, "renew", lambda fleet, links, fault, ttl: found.append(f"{fault} {ttl:g}"))
    return found


def cuts(store: Store) -> Cuts:
    return Cuts(store, RUN, a_fleet(), 15.0)


def test_cuts_in_place_are_renewed_unless_the_experiment_says_how_long_they_last(
    store: Store, renewed: list[str]
) -> None:
    cut = an_undo("sever", links=[], expires=15.0, renewed=True)
    store.arm(cut)
    cuts(store).renew()
    assert renewed == []
    store.record(cut, FaultState.APPLIED)
    own = an_undo("isolate", links=[], expires=40.0)
    store.arm(own)
    store.record(own, FaultState.CONFIRMED)
    cuts(store).renew()
    assert renewed == [f"{RUN}/sever-1 15"]
    store.record(cut, FaultState.REVERTED)
    cuts(store).renew()
    assert len(renewed) == 1


def test_a_cut_that_expired_is_told_but_not_one_that_is_being_put_back(
    store: Store, renewed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def expired(*_: object) -> None:
        raise Expired("it has healed")

    monkeypatch.setattr(sever.nft, "renew", expired)
    cut = an_undo("sever", links=[], expires=15.0, renewed=True)
    store.arm(cut)
    store.record(cut, FaultState.CONFIRMED)
    with pytest.raises(Expired):
        cuts(store).renew()
    threading.Timer(0.1, lambda: store.record(cut, FaultState.REVERTED)).start()
    cuts(store).renew()


def test_only_faults_that_change_objects_need_a_lease(store: Store) -> None:
    for kind in ("kill", "isolate", "delete-pods"):
        store.arm(an_undo(kind))
    assert not objects_changed(store, RUN, "us")
    store.arm(an_undo("scale"))
    assert objects_changed(store, RUN, "us")
    assert not objects_changed(store, RUN, "eu")


# -- the fence


def test_an_answer_that_took_too_long_is_asked_for_again() -> None:
    now, asked = [0.0], []

    def check(regions: Collection[str]) -> None:
        asked.append(tuple(regions))
        # The first time the process stands still between the question and the answer.
        now[0] += 20.0 if len(asked) == 1 else 0.1

    Fence([check], 15.0, lambda: now[0])(["us"])
    assert asked == [("us",), ("us",)]


def test_a_process_that_stands_still_again_and_again_is_refused() -> None:
    now = [0.0]

    def check(regions: Collection[str]) -> None:
        now[0] += 8.0

    with pytest.raises(Fenced, match="stands still"):
        Fence([check], 15.0, lambda: now[0])(["us"])


def test_what_a_check_refuses_is_refused() -> None:
    with pytest.raises(BlackstartError, match="taken"):
        Fence([lambda regions: None, lambda regions: fails(Lost("taken"))()], 15.0)(["us"])  # type: ignore[func-returns-value]


@pytest.mark.parametrize("order", [b"undo\n", b""])
def test_orders_are_heard_by_both_however_they_come(order: bytes) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as lines:
        orders = Orders(lines)
        orders.check(["us"])
        os.write(writing, b"something else\n")
        orders.check(["us"])
        os.write(writing, order)
        if not order:
            os.close(writing)
        with pytest.raises(Fenced, match="asked to undo"):
            orders.check(["us"])
        waiting = threading.Thread(target=orders.wait)
        waiting.start()
        waiting.join(2)
        assert not waiting.is_alive()
        if order:
            os.close(writing)
