"""The verdict in one sentence, for people who read nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from blackstart.judge.case import Case
from blackstart.schema.result import ObjectiveResult, Verdict

_OPENINGS = {
    Verdict.FAIL: "An objective was missed",
    Verdict.INCONCLUSIVE: "The evidence does not say enough",
    Verdict.INVALID: "The drill proves nothing",
    Verdict.ABORTED: "The drill was ended early and everything was put back",
    Verdict.UNSAFE: "Not everything is proven to be put back",
    Verdict.BLOCKED: "The drill did not start",
}


def sentence(case: Case, verdict: Verdict, reasons: Sequence[str], objectives: Sequence[ObjectiveResult]) -> str:
    """One sentence, ending in a full stop."""
    if verdict is Verdict.PASS:
        return _passed(case, objectives)
    first = reasons[0].rstrip(".") if reasons else "no reason recorded"
    more = f"; {len(reasons) - 1} more below" if len(reasons) > 1 else ""
    return f"{_opening(case, verdict, objectives)}: {first}{more}."


def _opening(case: Case, verdict: Verdict, objectives: Sequence[ObjectiveResult]) -> str:
    if verdict is Verdict.FAIL and not any(o.met is False for o in objectives):
        return "The procedure failed"
    if verdict is Verdict.INVALID and not case.history.injected:
        return "The drill was refused and nothing was injected"
    if verdict is Verdict.ABORTED and not case.history.injected:
        return "The drill was ended before anything was injected"
    return _OPENINGS[verdict]


def _passed(case: Case, objectives: Sequence[ObjectiveResult]) -> str:
    services, lost = " and ".join(case.services), ", ".join(case.history.header.victims)
    slowest = max((o.measured for o in objectives if o.kind == "rto" and o.measured is not None), default=None)
    how = "kept every objective" if slowest is None else _recovered(slowest)
    where = f"With region {lost} out of service, " if lost else ""
    return f"{where}{services} {how}; everything was put back."


def _recovered(seconds: float) -> str:
    if seconds == 0:
        return "stayed steady throughout"
    return f"recovered for good within {seconds:.1f} s"
