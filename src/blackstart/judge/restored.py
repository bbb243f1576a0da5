"""What was restored from backups: how much of it is proven, how old it was, how long it took."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from blackstart.evidence.restores import Restored, Tally
from blackstart.evidence.steps import StepState
from blackstart.judge.case import Case
from blackstart.schema.drill import BackupRpoObjective, RestoredObjective, RestoreRtoObjective
from blackstart.schema.result import ObjectiveResult
from blackstart.schema.result_restores import DumpedRows, RestoredKind, RestoreResult

RestoreObjective = RestoredObjective | BackupRpoObjective | RestoreRtoObjective

_SECOND = 1.0
"""Kubernetes writes times down to the second, without what is left of it."""


def judge_restore(case: Case, service: str, objective: RestoreObjective) -> ObjectiveResult:
    """An objective about the backups of a service: its worst restore counts."""
    mine = [each for each in case.history.restores if service in each.services]
    match objective:
        case RestoredObjective():
            return _worst([_proven(case, service, objective, each) for each in mine], service, objective)
        case BackupRpoObjective():
            return _worst([_age(case, service, objective, each) for each in mine], service, objective)
        case RestoreRtoObjective():
            return _worst([_took(case, service, objective, each) for each in mine], service, objective)


def results(case: Case) -> list[RestoreResult]:
    """As result.json has it, but for steps that had nothing to restore."""
    return [_result(case, each) for each in case.history.restores if each.namespaces]


def unproven(case: Case) -> Iterator[str]:
    """What was restored, and could not be compared: it may be good, and nobody knows."""
    for each in case.history.restores:
        left = [f"{o.kind} {o.name}: {o.detail}" for o in each.objects if o.outcome == "unproven"]
        for text in [*left, *each.unknown]:
            yield f"{each.step}: not proven: {text}"


def unwritten(case: Case) -> Iterator[str]:
    """A step `restore` that is done, of which nothing is written down."""
    told = {each.step for each in case.history.restores}
    kinds = {step.name: step.kind for step in case.drill.procedure}
    for moment in case.history.steps:
        step = moment.body
        done = step.part == "procedure" and step.state is StepState.DONE and step.step not in told
        if done and kinds.get(step.step) == "restore":
            yield f"{step.step}: nothing is written down of what was restored"
    wanted = {step.name: step.restore.dump for step in case.drill.procedure if step.restore}
    for each in case.history.restores:
        dump = wanted.get(each.step)
        if dump and not each.problem and not each.objections and set(each.rows) != set(dump.tables):
            yield f"{each.step}: nothing is written down of its database dump"


def _proven(case: Case, service: str, objective: RestoredObjective, each: Restored) -> ObjectiveResult:
    whole = _sum(each)
    total = whole.proven + whole.missing + whole.differs + whole.unproven
    spoilt = bool(each.problem and not each.tallies) or bool(each.objections)
    low = 0.0 if not total else whole.proven / total
    high = 0.0 if not total else (whole.proven + whole.unproven) / total
    if not total:
        detail = each.problem or "nothing was in the backup that could be proven"
    else:
        detail = f"{whole.proven} of {total} objects proven" + _but(whole)
    if each.rows:
        detail += "; in the dump " + ", ".join(f"{rows.found} rows of {table}" for table, rows in each.rows.items())
    if each.objections:
        detail += f"; {'; '.join(each.objections[:3])}"
    if each.unknown:
        low, detail = 0.0, f"{detail}; {each.unknown[0]}"
    met: bool | None
    if spoilt or not total or high < objective.objective:
        met, low, high = False, 0.0 if spoilt else low, 0.0 if spoilt else high
    else:
        met = True if low >= objective.objective else None
    return ObjectiveResult(
        service=service,
        kind="restored",
        objective=f">= {objective.objective * 100:g} %",
        measured=whole.proven / total if total else None,
        resolution=high - low if total else None,
        met=met,
        detail=f"{each.backup or 'no backup'}: {detail}",
        bound=objective.objective,
        low=low,
        high=high,
    )


def _age(case: Case, service: str, objective: BackupRpoObjective, each: Restored) -> ObjectiveResult:
    found = age(case, each)
    what = f"{each.backup or 'no backup'}, begun {each.backup_started or 'at an unknown time'}"
    if found is None:
        why = each.problem if not each.backup else "no T0, or no time of its beginning"
        return _seconds(service, "backup-rpo", objective.objective, (None, None), None, f"{what}: {why}")
    low, high = found
    met = True if high <= objective.objective else False if low > objective.objective else None
    detail = f"{what}: whatever came in the {high:.1f} s before T0 is not in it"
    return _seconds(service, "backup-rpo", objective.objective, (low, high), met, detail)


def _took(case: Case, service: str, objective: RestoreRtoObjective, each: Restored) -> ObjectiveResult:
    end = each.serving if each.answered else each.ready
    if case.t0 is None or end is None:
        met = None if case.t0 is None else False
        why = each.problem or "it did not come to serve"
        return _seconds(service, "restore-rto", objective.objective, (None, None), met, why)
    low, high = max(0.0, end - case.t0.latest), max(0.0, end - case.t0.earliest)
    met = True if high <= objective.objective else False if low > objective.objective else None
    what = "answered" if each.answered else "was ready; there was no service to ask"
    detail = f"{', '.join(each.namespaces.values())} {what} {high:.1f} s after T0; {_parts(each)}"
    return _seconds(service, "restore-rto", objective.objective, (low, high), met, detail)


def age(case: Case, each: Restored) -> tuple[float, float] | None:
    """How old the backup was at T0: between these seconds; None where that is not known.

    By two clocks: that of the cluster that made it, and this machine's.
    """
    if case.t0 is None or each.backup_started is None:
        return None
    header = case.history.header
    try:
        wall = datetime.fromisoformat(header.wall).astimezone(UTC).timestamp() - header.monotonic
        begun = datetime.fromisoformat(each.backup_started).timestamp()
    except ValueError:
        return None
    return max(0.0, wall + case.t0.earliest - begun - _SECOND), max(0.0, wall + case.t0.latest - begun)


def _result(case: Case, each: Restored) -> RestoreResult:
    found = age(case, each)
    return RestoreResult(
        step=each.step,
        source=each.source,
        target=each.target,
        namespaces=each.namespaces,
        services=each.services,
        backup=each.backup,
        schedule=each.schedule,
        backup_started=each.backup_started,
        age_s=round(found[1], 3) if found else None,
        brought=each.brought,
        phase=each.phase,
        errors=each.errors,
        warnings=each.warnings,
        sync_s=_between(each.begun, each.present),
        restore_s=_between(each.present, each.ended),
        ready_s=_between(each.ended, each.ready),
        serving_s=_between(each.ready, each.serving),
        total_s=_between(each.begun, each.serving if each.answered else each.ready),
        kinds=[RestoredKind(kind=kind, **tally.model_dump()) for kind, tally in sorted(each.tallies.items())],
        objects=[f"{o.kind} {o.name}: {o.outcome}: {o.detail}" for o in each.objects],
        left_out=each.left_out,
        objections=each.objections,
        unknown=each.unknown,
        dump=each.dump,
        rows=[DumpedRows(table=table, rows=r.found, fewest=r.fewest) for table, r in each.rows.items()],
        answered=each.answered,
        problem=each.problem,
    )


def _sum(each: Restored) -> Tally:
    sums = {key: sum(getattr(tally, key) for tally in each.tallies.values()) for key in Tally.model_fields}
    return Tally(**sums)


def _but(whole: Tally) -> str:
    said = {"missing": "missing", "differs": "not the same", "unproven": "not compared"}
    parts = [f"{getattr(whole, key)} {word}" for key, word in said.items() if getattr(whole, key)]
    return f", {', '.join(parts)}" if parts else ""


def _parts(each: Restored) -> str:
    spans = {
        "sync": _between(each.begun, each.present),
        "restore": _between(each.present, each.ended),
        "ready": _between(each.ended, each.ready),
        "serving": _between(each.ready, each.serving),
    }
    return ", ".join(f"{word} {seconds:.1f} s" for word, seconds in spans.items() if seconds is not None)


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round(end - start, 4)


def _seconds(
    service: str,
    kind: str,
    bound: float,
    span: tuple[float | None, float | None],
    met: bool | None,
    detail: str,
) -> ObjectiveResult:
    low, high = span
    return ObjectiveResult(
        service=service,
        kind=kind,
        objective=f"<= {bound:g} s",
        measured=None if high is None else round(high, 4),
        resolution=None if low is None or high is None else round(high - low, 4),
        met=met,
        detail=detail,
        bound=bound,
        low=None if low is None else round(low, 4),
        high=None if high is None else round(high, 4),
    )


def _worst(found: list[ObjectiveResult], service: str, objective: RestoreObjective) -> ObjectiveResult:
    """A restore that failed counts before one that is not known, and that before one that is good."""
    order = {False: 0, None: 1, True: 2}
    if found:
        return min(found, key=lambda each: order[each.met])
    bound = objective.objective
    words = f">= {bound * 100:g} %" if isinstance(objective, RestoredObjective) else f"<= {bound:g} s"
    return ObjectiveResult(
        service=service,
        kind=objective.kind,
        objective=words,
        measured=None,
        resolution=None,
        met=None,
        detail="no backup of it was restored",
        bound=bound,
    )
