"""Pure: evidence to clock, objectives, score, verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from blackstart.evidence.history import FaultLife, fold
from blackstart.evidence.records import FaultState, Line
from blackstart.judge import restored
from blackstart.judge.case import Case
from blackstart.judge.clock import Times, times
from blackstart.judge.coverage import tallies
from blackstart.judge.dependencies import dependencies
from blackstart.judge.foreseen import foreseen
from blackstart.judge.gates import Findings
from blackstart.judge.objectives import judge_objectives
from blackstart.judge.procedure import results, split
from blackstart.judge.score import score
from blackstart.judge.sentence import sentence
from blackstart.judge.verdict import decide
from blackstart.judge.views import views
from blackstart.judge.writes import store_writes
from blackstart.schema.result import EXIT_CODES, Clock, FaultResult, Result, Undo

__all__ = ["judge"]


def judge(lines: Iterable[Line], doubts: Sequence[str] = ()) -> Result:
    """What a run came to, from its evidence alone; the same lines give the same result.

    `doubts`: what is wrong with the files that the evidence speaks of; it is
    never PASS then. Raises ValueError (pydantic.ValidationError among it) when
    the lines are no evidence of a run.
    """
    case = Case.of(fold(lines))
    history, header = case.history, case.history.header
    clocks = {service: times(case, service) for service in case.services}
    objectives = judge_objectives(case, clocks)
    verdict, reasons = decide(Findings(case, clocks, objectives, doubts))
    return Result(
        run_id=header.run_id,
        drill=case.drill.drill,
        fleet=case.fleet.fleet,
        verdict=verdict,
        sentence=sentence(case, verdict, reasons, objectives),
        reasons=reasons,
        exit_code=EXIT_CODES[verdict],
        score=score(objectives, case.fleet, verdict) if case.t0 else None,
        objectives=objectives,
        clock={service: _clock(case, found) for service, found in clocks.items()},
        tallies=tallies(case),
        forecasts=foreseen(case, clocks),
        writes=store_writes(case),
        views=views(case),
        faults=[_fault(fault) for fault in history.faults],
        dependencies=dependencies(case),
        steps=results(case),
        restores=restored.results(case),
        undo=Undo(outstanding=history.outstanding.faults if history.outstanding else []),
        versions=header.versions,
        digests=header.digests,
        started=history.first.at,
        ended=history.end.at if history.end else None,
    )


def _clock(case: Case, found: Times) -> Clock:
    recovered = found.recovered.measured if found.recovered else None
    return found.clock().model_copy(update={"split": split(case, recovered)})


def _fault(fault: FaultLife) -> FaultResult:
    def reached(state: FaultState) -> bool:
        return fault.reached(state) is not None

    return FaultResult(
        fault=fault.fault,
        kind=fault.kind,
        target=fault.target,
        applied=reached(FaultState.APPLIED),
        confirmed=fault.t0 is not None,
        reverted=reached(FaultState.REVERTED),
        confirmed_reverted=reached(FaultState.CONFIRMED_REVERTED),
        detail=fault.events[-1].body.detail,
    )
