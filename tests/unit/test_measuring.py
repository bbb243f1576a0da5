"""Client streams and probes beside the event loop, and the bounded view of what they saw."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from loopback import Server, http
from runkit import a_fleet, a_plan, batch

from blackstart.evidence.records import Body, Reading, Samples
from blackstart.fleet.model import Entry, Place
from blackstart.probes import kubernetes, parts, promql
from blackstart.probes.base import ProbeSpec, Scope
from blackstart.run.measuring import probing, sample_from
from blackstart.run.streams import client_streams
from blackstart.run.watch import GRACE, Watch, at_home, back, shares, steady_checks
from blackstart.schema.drill import Steady

PLAN = a_plan()
STREAMS = client_streams(PLAN.drill.client, a_fleet(), PLAN.services)
ENTRY, DIRECT = "user-service/entry/fresh", "user-service/direct/eu"
STEADY = Steady(success=0.9, window=1.0)
SPEC = ProbeSpec(probe="lag", kind="x", every=0.1, deadline=1.0)


def watched(horizon: float = 10.0, slow: float | None = None) -> Watch:
    return Watch([stream for stream, _ in STREAMS.values()], slow, horizon)


def full(stream: str, since: float, until: float, region: str | None) -> Samples:
    interval = STREAMS[stream][0].interval
    return batch(stream, [since + n * interval for n in range(round((until - since) / interval))], region)


def test_real_samples_arrive_in_the_event_loop() -> None:
    seen: list[Samples] = []

    async def measure(url: str) -> None:
        streams = {name: (s, Entry(url=url, place="here")) for name, (s, _) in STREAMS.items()}
        loop = asyncio.get_running_loop()

        def emit(samples: Samples) -> None:
            assert asyncio.get_running_loop() is loop
            seen.append(samples)

        async with sample_from({"here": Place()})(streams, emit):
            await asyncio.sleep(0.4)
        # What was in flight arrives with the end.
        await asyncio.sleep(0)

    with Server(lambda _: http({"region": "eu"})) as server:
        asyncio.run(measure(server.url))
    assert {samples.stream for samples in seen} == set(STREAMS)
    assert all(all(samples.ok) for samples in seen)


def read_for(seconds: float, read: Callable[[ProbeSpec, Scope], Any], spec: ProbeSpec = SPEC) -> list[Body]:
    seen: list[Body] = []

    async def measure() -> None:
        async with probing([spec], Scope(fleet=a_fleet()), read, seen.append):
            await asyncio.sleep(seconds)

    asyncio.run(measure())
    return seen


def test_a_probe_is_read_at_its_pace() -> None:
    async def read(spec: ProbeSpec, _: Scope) -> list[Reading]:
        return [Reading(probe=spec.probe, key=key, value=1.0) for key in ("us", "eu")]

    assert len(read_for(0.35, read)) in (6, 8)


def test_a_slow_probe_is_never_read_twice_at_a_time() -> None:
    running = [0, 0]

    async def read(spec: ProbeSpec, _: Scope) -> list[Reading]:
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(0.15)
        running[0] -= 1
        return []

    read_for(0.5, read)
    assert running[1] == 1


@pytest.mark.parametrize(
    "spec",
    [
        promql.Spec(probe="p", query='up{region="$region"}', fresh="up", at="fleet", every=0.05),
        promql.Spec(probe="p", query="up", fresh="up", every=0.05),
        kubernetes.Spec(probe="p", service="user-service", field="a", every=0.05),
    ],
)
def test_a_region_that_answers_late_makes_no_other_late(spec: ProbeSpec) -> None:
    async def read(part: ProbeSpec, _: Scope) -> list[Reading]:
        (region,) = part.model_dump()["regions"]
        await asyncio.sleep(5 if region == "eu" else 0)
        return [Reading(probe=part.probe, key=region, value=1.0)]

    seen = [body.key for body in read_for(0.5, read, spec) if isinstance(body, Reading)]
    assert set(seen) == {"us"}
    assert len(seen) > 3


@pytest.mark.parametrize(
    "spec",
    [
        promql.Spec(probe="p", query="sum(up)", fresh="up", at="fleet"),
        promql.Spec(probe="p", query="up", fresh="up", regions=["nobody"]),
    ],
)
def test_one_question_for_all_regions_stays_one(spec: ProbeSpec) -> None:
    assert parts(spec, Scope(fleet=a_fleet())) == [spec]


def test_a_probe_that_crashes_is_told() -> None:
    async def read(spec: ProbeSpec, _: Scope) -> list[Reading]:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        read_for(0.05, read)


def test_a_probe_that_crashes_does_not_hide_what_went_wrong_in_the_run() -> None:
    async def read(spec: ProbeSpec, _: Scope) -> list[Reading]:
        raise RuntimeError("a bug")

    async def measure() -> None:
        async with probing([SPEC], Scope(fleet=a_fleet()), read, lambda _: None):
            await asyncio.sleep(0.01)
            raise ValueError("the run")

    with pytest.raises(ValueError, match="the run"):
        asyncio.run(measure())


def test_a_window_tells_who_answered() -> None:
    watch = watched()
    watch.see(full(ENTRY, 0.0, 1.0, "us"))
    watch.see(full(ENTRY, 1.0, 1.5, "eu"))
    watch.see(full(ENTRY, 1.5, 2.0, None))
    window = watch.window(ENTRY, 0.0, 2.0)
    assert window.success == 0.75
    assert (window.share("us"), window.share("eu"), window.share("as")) == (0.5, 0.25, 0.0)


def test_a_window_with_too_few_samples_says_nothing() -> None:
    watch = watched()
    watch.see(full(ENTRY, 0.0, 0.7, "us"))
    assert watch.window(ENTRY, 0.0, 1.0).success is None
    assert watch.window(ENTRY, 0.0, 0.7).success == 1.0


def test_what_is_older_than_the_horizon_is_forgotten() -> None:
    watch = watched(horizon=2.0)
    for second in range(60):
        watch.see(full(ENTRY, float(second), second + 1.0, "us"))
    assert watch.window(ENTRY, 0.0, 57.0).total == 0
    assert watch.window(ENTRY, 58.0, 60.0).success == 1.0


def test_a_slow_answer_is_not_good() -> None:
    watch = watched(slow=0.0005)
    watch.see(full(ENTRY, 0.0, 1.0, "us"))
    assert watch.window(ENTRY, 0.0, 1.0).success == 0.0


@pytest.mark.parametrize(("region", "until", "ok"), [("us", 2.0, True), (None, 2.0, False), ("us", 1.5, None)])
def test_steadiness_is_true_false_or_unknown(region: str | None, until: float, ok: bool | None) -> None:
    watch, timeout = watched(), STREAMS[ENTRY][0].timeout
    watch.see(full(ENTRY, 1.0, until, region))
    (check,) = steady_checks(watch, STEADY, [ENTRY], 2.0 + timeout + GRACE, "baseline")
    assert check.name == "baseline/user-service/entry/fresh"
    assert check.ok is ok


def test_home_is_where_half_of_the_old_share_is_served_again() -> None:
    watch, timeout = watched(), STREAMS[ENTRY][0].timeout
    watch.see(full(ENTRY, 0.0, 1.0, "us"))
    before = shares(watch, STEADY, [ENTRY], 1.0 + timeout + GRACE)
    assert before == {ENTRY: {"us": 1.0}}
    assert at_home(before, {ENTRY: {"us": 0.5, "eu": 0.5}})
    assert not at_home(before, {ENTRY: {"us": 0.4, "eu": 0.6}})
    assert not at_home(before, {ENTRY: {"eu": 1.0}})


@pytest.mark.parametrize(
    ("region", "until", "is_back"),
    [("us", 6.0, True), ("eu", 6.0, False), (None, 6.0, False), (None, 4.4, False), ("us", 4.4, True)],
)
def test_who_has_left_home_again_since_is_not_back(region: str | None, until: float, is_back: bool) -> None:
    """What is decided is good; then clients go on, fail over once more, fail, or fail a little."""
    watch, timeout = watched(), STREAMS[ENTRY][0].timeout
    home = {ENTRY: {"us": 1.0}}
    watch.see(full(ENTRY, 0.0, 4.0, "us"))
    now = 4.0 + timeout + GRACE
    watch.see(full(ENTRY, 4.0, min(until, now), region))
    watch.see(full(ENTRY, min(until, now), now, "us"))
    assert at_home(home, shares(watch, STEADY, [ENTRY], now))
    assert back(watch, STEADY, home, now) is is_back


def test_recent_time_is_cheap_to_fold() -> None:
    watch = watched(horizon=10.0)
    began = time.monotonic()
    for second in range(200):
        watch.see(full(ENTRY, float(second), second + 1.0, "us"))
    assert time.monotonic() - began < 2.0
