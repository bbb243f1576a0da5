"""The steps of the procedure: how each ended, and which share of the recovery time was whose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from blackstart.evidence.history import Moment
from blackstart.evidence.steps import StepEvent, StepState
from blackstart.judge.case import Case
from blackstart.schema.procedure import Step
from blackstart.schema.result import Split, StepResult

Part = Literal["procedure", "failback"]

_OF_PEOPLE = ("wait", "manual")


@dataclass(frozen=True)
class Done:
    """One step of the drill with what the evidence has of it. Times on the run's clock."""

    part: Part
    step: Step
    start: float | None
    end: float | None
    last: StepEvent | None

    @property
    def outcome(self) -> Literal["done", "failed", "not_executed", "unknown"]:
        """`unknown`: it began, and the evidence does not say how it ended."""
        if self.last is None:
            return "not_executed"
        match self.last.state:
            case StepState.DONE:
                return "done"
            case StepState.FAILED:
                return "failed"
            case StepState.NOT_EXECUTED:
                return "not_executed"
            case _:
                return "unknown"


def steps_of(case: Case) -> list[Done]:
    """Every step of the drill, in its order, whether or not it was begun."""
    drill = case.drill
    return [*_part(case, "procedure", drill.procedure), *_part(case, "failback", drill.failback_procedure)]


def results(case: Case) -> list[StepResult]:
    """As result.json has it; times in seconds after T0, None without one."""
    zero = case.t0.earliest if case.t0 else None
    return [_result(done, zero) for done in steps_of(case)]


def split(case: Case, recovered: float | None) -> Split | None:
    """Whose the time from T0 to the recovery was; the parts add up to it. None when no step began.

    Before the first step: detect. In steps of people: decide; in others:
    promote; what is between two steps goes to the later one. After the last:
    propagate, None when there was no recovery.
    """
    begun = [done for done in steps_of(case) if done.part == "procedure" and done.start is not None]
    if case.t0 is None or not begun:
        return None
    zero = case.t0.earliest
    stop = case.history.window.end if recovered is None else zero + recovered
    cursor = min(stop, max(zero, begun[0].start or zero))
    detect, times = cursor - zero, {"decide": 0.0, "promote": 0.0}
    for done in begun:
        end = max(cursor, min(stop, stop if done.end is None else done.end))
        times["decide" if done.step.kind in _OF_PEOPLE else "promote"] += end - cursor
        cursor = end
    return Split(
        detect_s=round(detect, 4),
        decide_s=round(times["decide"], 4),
        promote_s=round(times["promote"], 4),
        propagate_s=None if recovered is None else round(stop - cursor, 4),
    )


def failed(case: Case) -> Iterator[str]:
    """A sentence for each step that failed."""
    for done in steps_of(case):
        if done.outcome == "failed" and done.last:
            yield f"{done.part}: the step {done.step.name!r} failed: {done.last.detail or 'no reason recorded'}"


def not_rehearsed(case: Case) -> Iterator[str]:
    """A sentence for each step that nobody did, where that is not what a failed one led to."""
    found = steps_of(case)
    broken = {done.part for done in found if done.outcome == "failed"}
    for done in found:
        if done.outcome in ("not_executed", "unknown") and done.part not in broken:
            why = (done.last.detail if done.last else "") or "no reason recorded"
            word = "was not executed" if done.outcome == "not_executed" else "did not come to an end"
            yield f"{done.part}: the step {done.step.name!r} {word}: {why}"


def _part(case: Case, part: Part, steps: Sequence[Step]) -> Iterator[Done]:
    for step in steps:
        events = [m for m in case.history.steps if m.body.part == part and m.body.step == step.name]
        yield Done(
            part=part,
            step=step,
            start=next((m.t for m in events if m.body.state is StepState.STARTED), None),
            end=next((m.t for m in events if m.body.state is not StepState.STARTED), None),
            last=_last(events),
        )


def _last(events: Sequence[Moment[StepEvent]]) -> StepEvent | None:
    return events[-1].body if events else None


def _result(done: Done, zero: float | None) -> StepResult:
    length = None if done.start is None or done.end is None else done.end - done.start
    return StepResult(
        part=done.part,
        step=done.step.name,
        kind=done.step.kind,
        by=done.last.by if done.last else ("person" if done.step.kind in _OF_PEOPLE else "machine"),
        outcome=done.outcome,
        started_s=None if done.start is None or zero is None else round(done.start - zero, 4),
        duration_s=None if length is None else round(length, 4),
        detail=done.last.detail if done.last else "",
    )
