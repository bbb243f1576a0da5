"""What the clients saw lately: a bounded fold over samples, for decisions while the drill runs.

The verdict is not made here: it is computed afterwards, from the whole evidence.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from blackstart.evidence.records import Check, Samples, Stream
from blackstart.evidence.written import Writes
from blackstart.judge.case import STRAY
from blackstart.schema.drill import Steady

COVERAGE = 0.8
"""The share of the samples due in a window that must be there for it to say anything."""

GRACE = 0.5
"""Seconds from the time-out of a sample until its batch must have arrived."""


@dataclass(frozen=True)
class Sample:
    """One request: when it was due, whether it was good (answered, and not too slow), and who answered."""

    due: float
    good: bool
    region: str | None


@dataclass(frozen=True)
class Window:
    """The samples of one stream due in an interval. `expected`: how many were due."""

    expected: float
    total: int = 0
    good: int = 0
    regions: Mapping[str, int] = field(default_factory=dict)

    @property
    def covered(self) -> bool:
        """Whether enough of the samples are there."""
        return self.total > 0 and self.total >= COVERAGE * self.expected

    @property
    def success(self) -> float | None:
        """The share of good samples, 0 to 1; None without enough samples."""
        return self.good / self.total if self.covered else None

    def share(self, region: str) -> float:
        """The share of all samples to which `region` gave a good answer, 0 to 1."""
        return self.regions.get(region, 0) / self.total if self.total else 0.0


class Watch:
    """The last `horizon` seconds of every stream."""

    def __init__(self, streams: Iterable[Stream], slow: float | None, horizon: float) -> None:
        self.streams = {stream.name: stream for stream in streams}
        self._slow, self._horizon = slow, horizon
        self._samples: dict[str, deque[Sample]] = {name: deque() for name in self.streams}

    def see(self, samples: Samples) -> None:
        """Take one batch in and forget what is older than the horizon."""
        kept = self._samples[samples.stream]
        columns = zip(samples.due, samples.latency, samples.ok, samples.region, strict=True)
        for due, latency, ok, region in columns:
            kept.append(Sample(due, ok and (self._slow is None or latency <= self._slow), region))
        while kept and kept[0].due < kept[-1].due - self._horizon:
            kept.popleft()

    def window(self, stream: str, since: float, until: float) -> Window:
        """The samples due from `since` (inclusive) to `until`, seconds of the monotonic clock."""
        inside = [sample for sample in self._samples[stream] if since <= sample.due < until]
        regions = Counter(s.region for s in inside if s.good and s.region)
        expected = (until - since) / self.streams[stream].interval
        return Window(expected, len(inside), sum(s.good for s in inside), regions)

    def settled(self, stream: str, length: float, now: float) -> Window:
        """The newest window of `length` seconds whose samples are all decided at `now`."""
        until = now - self.streams[stream].timeout - GRACE
        return self.window(stream, until - length, until)

    def of(self, kind: Literal["entry", "direct"]) -> list[str]:
        """Names of the streams of one kind."""
        return [name for name, stream in self.streams.items() if stream.kind == kind]


def steady_checks(watch: Watch, steady: Steady, streams: Iterable[str], now: float, prefix: str) -> list[Check]:
    """Whether each stream is steady over its newest window; with too few samples it is unknown, never steady."""
    return [_steady_check(watch.settled(name, steady.window, now), steady, f"{prefix}/{name}") for name in streams]


def _steady_check(window: Window, steady: Steady, name: str) -> Check:
    if window.success is None:
        detail = f"{window.total} of {window.expected:.0f} samples arrived, too few to tell"
        return Check(name=name, ok=None, detail=detail)
    detail = f"{window.success:.1%} of {window.total} requests good, needs {steady.success:.1%}"
    return Check(name=name, ok=window.success >= steady.success, detail=detail)


def outage(watch: Watch, steady: Steady, now: float) -> str | None:
    """The first stream of an entry that is not steady any more, in words; None while all are, or say nothing."""
    found = steady_checks(watch, steady, watch.of("entry"), now, "outage")
    return next((f"{check.name.partition('/')[2]}: {check.detail}" for check in found if check.ok is False), None)


def writers_out(last: Writes | None, steady: Steady) -> str | None:
    """Why the ledger's writers are not served any more, by what they did in the last second; None while they are."""
    if last is None or last.state != "running":
        return None
    known = last.ok + last.failed + last.indeterminate
    if known and last.ok >= steady.success * known:
        return None
    return f"writes of {last.service}: {last.ok} of {known} acknowledged in the last second"


def shares(watch: Watch, steady: Steady, streams: Iterable[str], now: float) -> dict[str, dict[str, float]]:
    """Who serves now: stream -> region -> share of the requests that it served well, 0 to 1."""
    return {name: _shares(watch.settled(name, steady.window, now)) for name in streams}


def _shares(window: Window) -> dict[str, float]:
    return {region: window.share(region) for region in window.regions}


def back(watch: Watch, steady: Steady, before: Mapping[str, Mapping[str, float]], now: float) -> bool:
    """Whether clients are served as before: over the newest window that is decided, and over what has come since.

    The latter may say no alone: who looks only at what is decided, some
    seconds ago, misses clients that have left home once more.
    """
    decided = steady_checks(watch, steady, before, now, "failback")
    if not all(check.ok for check in decided) or not at_home(before, shares(watch, steady, before, now)):
        return False
    newest = {name: watch.window(name, now - steady.window, now) for name in before}
    well = all(window.good >= steady.success * window.total for window in newest.values())
    return well and at_home(before, {name: _shares(window) for name, window in newest.items()})


def at_home(before: Mapping[str, Mapping[str, float]], now: Mapping[str, Mapping[str, float]]) -> bool:
    """Whether every region serves at least half of the share again that it had before the fault; strays need not."""
    return all(
        now[stream].get(region, 0.0) >= share / 2
        for stream, regions in before.items()
        for region, share in regions.items()
        if share >= STRAY
    )
