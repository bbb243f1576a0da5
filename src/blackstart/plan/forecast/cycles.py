"""Ejected hosts come back, fail and go again while a fault lasts: Envoy's rules, event by event.

A host is ejected for `base` x its back-off and let in at the next sweep. Each
sweep that finds it in for an interval takes one off the back-off. Workers hear of the first
change at once, and of those within the merge window together. When the sweeps
come, and what comes first of what is due at the same time, is chance and
decides much: the same settings have several courses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, inf

from blackstart.plan.forecast.settings import Outliers

_LONGEST = 300.0
"""Envoy's max_ejection_time, its default."""

_OVERPROVISIONED = 1.4
"""Envoy's overprovisioning factor: a region gets 1.4 times the share of its hosts that are in, at most all."""

_TINY = 1e-6


@dataclass(frozen=True)
class Course:
    """gone: when requests last went to silent hosts, inf if they still do at the end of the fault.

    back: from then until the region gets half of its requests, on average over
    a window.
    """

    gone: float
    back: float


@dataclass(frozen=True)
class Chance:
    """phase: when the first sweep comes, seconds.

    counts: whether the sweep after a host's return takes one off its back-off,
    for which a whole interval must have passed: some microseconds decide.
    tight: whether changes a whole merge window apart still go together.
    """

    phase: float
    counts: bool
    tight: bool


@dataclass
class _Host:
    takes: float
    """Seconds of requests until it is ejected."""
    backoff: int = 0
    since: float | None = None
    """When it was ejected; None while it is in."""
    fails: float = inf
    """When it will be."""
    fresh: bool = False
    """Let in by the sweep before."""


@dataclass
class _Detector:
    """The hosts, and which of them workers send to: last told at `told`, and again at `tells`."""

    outliers: Outliers
    merge: float
    chance: Chance
    hosts: list[_Host]
    live: list[bool] = field(default_factory=list)
    told: float = -inf
    tells: float = inf
    swept: float = -inf

    def tell(self, now: float) -> None:
        """Workers get to know which hosts are in; those that they meet anew begin to fail."""
        before, self.live = self.live or [False] * len(self.hosts), [host.since is None for host in self.hosts]
        self.told, self.tells = now, inf
        for host, was, live in zip(self.hosts, before, self.live, strict=True):
            if live and not was:
                host.fails = now + host.takes

    def eject(self, host: _Host, now: float) -> None:
        host.since, host.fails = now, inf
        host.backoff += host.backoff * self.outliers.base < _LONGEST + self.outliers.base
        self._changed(now)

    def sweep(self, now: float) -> None:
        self.swept = now
        for host in self.hosts:
            if host.since is None:
                host.backoff -= bool(host.backoff) and (self.chance.counts or not host.fresh)
                host.fresh = False
            elif now >= self._returns(host) - _TINY:
                host.since, host.fresh = None, True
                self._changed(now)

    def next_sweep(self, now: float) -> float:
        """The first that changes anything."""
        due = [
            self._returns(h) if h.since is not None else now for h in self.hosts if h.since is not None or h.backoff
        ]
        after = max(min(due, default=inf) - _TINY, self.swept + _TINY)
        if after == inf:
            return inf
        first, every = self.chance.phase, self.outliers.interval
        return first + max(0, ceil((after - first) / every)) * every

    def share(self) -> float:
        """Of the region's requests, those that its own hosts get."""
        return min(1.0, _OVERPROVISIONED * sum(self.live) / len(self.live))

    def _returns(self, host: _Host) -> float:
        out = min(self.outliers.base * host.backoff, max(_LONGEST, self.outliers.base))
        return (host.since or 0.0) + out

    def _changed(self, now: float) -> None:
        if now - self.told >= self.merge + (_TINY if self.chance.tight else -_TINY):
            self.tell(now)
        else:
            self.tells = min(self.tells, now + self.merge)


def course(
    outliers: Outliers, takes: Sequence[float], merge: float, lasts: float, window: float, chance: Chance
) -> Course:
    """What happens from the start of a fault until, `lasts` seconds later and more, its region is back.

    takes: for each host, the time from its first request to its ejection.
    """
    detector = _Detector(outliers, merge, chance, [_Host(each) for each in takes])
    detector.tell(0.0)
    detector.told = -inf
    gone, shares, now = inf, [(lasts, 1.0)], 0.0
    while True:
        failing = min((host for host in detector.hosts if host.since is None), key=lambda h: h.fails, default=None)
        fails = failing.fails if failing and failing.fails < lasts else inf
        sweep = detector.next_sweep(now)
        if (now := min(fails, detector.tells, sweep)) == inf:
            return Course(gone, _back(shares, lasts, window))
        if failing and now == fails:
            detector.eject(failing, now)
        elif now == detector.tells:
            detector.tell(now)
        else:
            detector.sweep(now)
        if now < lasts:
            gone = inf if any(detector.live) else min(gone, now)
            shares = [(lasts, detector.share())]
        else:
            shares.append((now, detector.share()))


def _back(shares: Sequence[tuple[float, float]], lasts: float, window: float) -> float:
    """From when on the average over a window is at least a half, and stays so."""
    last = max((n for n in range(len(shares)) if _average(shares[n:], window) < 0.5 - _TINY), default=-1)
    return shares[min(last + 1, len(shares) - 1)][0] - lasts


def _average(shares: Sequence[tuple[float, float]], window: float) -> float:
    """Over a window from the first; 0 while nothing is served at all."""
    end = shares[0][0] + window
    until = [min(at, end) for at, _ in shares[1:]] + [end]
    got = sum(max(0.0, stop - at) * share for stop, (at, share) in zip(until, shares, strict=True))
    return got / window if shares[0][1] else 0.0
