"""Guards trip on breach and on blindness, and on nothing else."""

from __future__ import annotations

import pytest
from runkit import batch
from test_writer import a_stream

from blackstart.evidence.records import GuardTrip, Reading, Reason, Stream
from blackstart.run.guards import Guards
from blackstart.schema.drill import Bound, Guard


def stream(name: str, kind: str, region: str | None) -> Stream:
    return a_stream().model_copy(update={"name": name, "kind": kind, "region": region})


STREAMS = [stream("entry", "entry", None), stream("us", "direct", "us"), stream("eu", "direct", "eu")]
GUARD = Guard(watch="survivors", success=0.5, sustained=5.0, blind=5.0)


def guards(*what: Guard) -> Guards:
    return Guards(what or [GUARD], STREAMS, ["eu"], ["us"], now=0.0)


def feed(watching: Guards, name: str, good: list[bool]) -> GuardTrip | None:
    """One batch a second from t = 0 on; the first trip."""
    for second, well in enumerate(good):
        watching.see_samples(batch(name, [second + n / 10 for n in range(10)], "eu" if well else None), second + 1.0)
        if found := watching.tripped(second + 1.0):
            return found
    return None


def test_healthy_survivors_trip_nothing() -> None:
    assert feed(guards(), "eu", [True] * 30) is None


def test_a_sustained_breach_trips() -> None:
    found = feed(guards(), "eu", [True] * 3 + [False] * 10)
    assert found is not None
    assert (found.blind, found.guard) == (False, "survivors: eu")


def test_a_short_breach_does_not_trip() -> None:
    assert feed(guards(), "eu", ([False] * 4 + [True]) * 6) is None


def test_the_victim_is_not_watched() -> None:
    watching = guards()
    for second in range(20):
        watching.see_samples(batch("us", [float(second)], None), second + 1.0)
        watching.see_samples(batch("eu", [float(second)], "eu"), second + 1.0)
    assert watching.tripped(20.0) is None


def test_clients_are_watched_when_asked() -> None:
    assert feed(guards(GUARD.model_copy(update={"watch": "clients"})), "entry", [False] * 10) is not None


@pytest.mark.parametrize(("now", "trips"), [(4.9, False), (5.0, True)])
def test_silence_from_the_start_trips(now: float, trips: bool) -> None:
    found = guards().tripped(now)
    assert (found is not None) is trips
    assert found is None or found.blind


def test_silence_later_trips() -> None:
    watching = guards()
    assert feed(watching, "eu", [True] * 3) is None
    assert watching.tripped(7.9) is None
    found = watching.tripped(8.0)
    assert found is not None
    assert found.blind


def test_samples_from_before_the_watch_do_not_count() -> None:
    watching = Guards([GUARD], STREAMS, ["eu"], ["us"], now=100.0)
    watching.see_samples(batch("eu", [90.0], None), 101.0)
    watching.see_samples(batch("eu", [100.0], "eu"), 101.0)
    assert watching.tripped(104.0) is None


PROBE = Guard(watch="lag", bound=Bound(op="<", value=10.0), sustained=3.0, blind=4.0)


def test_a_reading_out_of_bounds_trips_once_sustained() -> None:
    watching = guards(PROBE)
    for now in (1.0, 2.0, 3.0):
        watching.see_reading(Reading(probe="lag", key="eu", value=11.0), now)
    assert watching.tripped(3.0) is None
    watching.see_reading(Reading(probe="lag", key="eu", value=12.0), 4.0)
    found = watching.tripped(4.0)
    assert found is not None
    assert (found.guard, found.blind) == ("lag: lag/eu", False)


def test_a_reading_without_data_is_blindness() -> None:
    watching = guards(PROBE)
    for now in (1.0, 2.0, 3.0, 4.0):
        watching.see_reading(Reading(probe="lag", no_data=Reason.STALE), now)
    found = watching.tripped(4.0)
    assert found is not None
    assert found.blind


def test_a_series_that_vanishes_is_blindness_though_others_live() -> None:
    watching = guards(PROBE)
    for now in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        watching.see_reading(Reading(probe="lag", key="eu", value=1.0), now)
        if now < 2:
            watching.see_reading(Reading(probe="lag", key="as", value=1.0), now)
    found = watching.tripped(6.0)
    assert found is not None
    assert found.guard == "lag: lag/as"


def test_a_reading_that_nobody_guards_is_ignored() -> None:
    watching = guards(PROBE)
    watching.see_reading(Reading(probe="other", value=99.0), 1.0)
    assert watching.tripped(1.0) is None


def test_what_a_probe_says_of_a_victim_is_not_watched() -> None:
    watching = guards(PROBE)
    for now in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        watching.see_reading(Reading(probe="lag", key="us", value=99.0), now)
        watching.see_reading(Reading(probe="lag", key="eu", value=1.0), now)
    assert watching.tripped(6.0) is None
