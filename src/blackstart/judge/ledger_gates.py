"""What the ledger itself must be before anything is concluded from it: steady, unbroken, sealed, believable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from blackstart.evidence.history import Moment, Window
from blackstart.evidence.records import Phase
from blackstart.evidence.written import Writes
from blackstart.judge.case import Case
from blackstart.judge.writes import kept, ledger_service

_SILENCE = 5.0
"""Seconds without a word of the writers, or beyond their timeout without a write sent, that are let pass."""

_BEFORE = 3.0
"""Seconds before T0 in which a write must have been acknowledged: else what is lost then is not known."""


def unsteady(case: Case) -> Iterator[str]:
    """Before the fault the writers must have been acknowledged as clients are answered."""
    window, spec = case.history.phases.get(Phase.BASELINE), case.drill.ledger
    if spec is None or window is None:
        return
    bodies = [m.body for m in case.history.writes if window.holds(m.t)]
    ok = sum(b.ok for b in bodies)
    known = ok + sum(b.failed + b.indeterminate for b in bodies)
    if ok < spec.writers or ok < case.drill.steady.success * known:
        yield (
            f"baseline: ledger: {ok} of {known} writes acknowledged by {spec.writers} writers; "
            f"each must be, and {case.drill.steady.success:.1%} of all"
        )


def broken(case: Case) -> Iterator[str]:
    """The ledger must go on to its end, and be of one mind with what the stores hold."""
    if (service := ledger_service(case)) is None:
        return
    moments = [m for m in case.history.writes if m.body.service == service]
    end = case.start_of(Phase.SETTLE)
    yield from _silent(moments, Window(case.start_of(Phase.BASELINE), end))
    yield from _idle(moments, case)
    if not any(m.body.state == "stopped" for m in moments):
        yield "ledger: its writers did not end in order, so that its file is not sealed"
    if any(b.body.lines < a.body.lines for a, b in pairwise(moments)):
        yield "ledger: its file became shorter"
    for each in kept(case):
        for read in each.reads:
            if read.phantom:
                first = f": {read.odd[0]}" if read.odd else ""
                yield f"{each.name} at {read.member} holds {read.phantom} writes that the ledger denies{first}"


def unread(case: Case) -> Iterator[str]:
    """Every record of every store must have been read where it takes writes, at both moments."""
    yield from (f"{each.name}: {each.why}" for each in kept(case) if not each.reads)


def _silent(moments: Sequence[Moment[Writes]], window: Window) -> Iterator[str]:
    times = [window.start, *(m.t for m in moments if window.holds(m.t)), window.end]
    longest = max(b - a for a, b in pairwise(times))
    if longest > _SILENCE:
        yield f"ledger: nothing heard of its writers for {longest:.1f} s"


def _idle(moments: Sequence[Moment[Writes]], case: Case) -> Iterator[str]:
    spec, t0 = case.drill.ledger, case.t0
    last, longest = None, 0.0
    for moment in moments:
        if moment.body.state != "running" or moment.body.sent or last is None:
            last = moment.t
        longest = max(longest, moment.t - last)
    if spec and longest > spec.timeout + spec.interval + _SILENCE:
        yield f"ledger: its writers sent nothing for {longest:.1f} s"
    if t0 and not any(m.body.ok for m in moments if t0.earliest - _BEFORE <= m.t <= t0.earliest):
        yield f"ledger: no write was acknowledged in the last {_BEFORE:g} s before T0"
