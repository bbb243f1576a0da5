"""JUnit XML: what CI systems show. A missed objective or failed step is a failure, an unknown one an error."""

from __future__ import annotations

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from blackstart.schema.result import ObjectiveResult, Result, StepResult, Verdict


def junit(result: Result) -> str:
    """One case for the verdict, one an objective, one a step; those of a drill that never ran are skipped."""
    suite = TestSuite(f"blackstart {result.drill}")
    suite.timestamp = result.started
    suite.add_property("run_id", result.run_id)
    suite.add_property("fleet", result.fleet)
    suite.add_testcase(_verdict_case(result))
    for objective in result.objectives:
        suite.add_testcase(_objective_case(result, objective))
    for step in result.steps:
        suite.add_testcase(_step_case(result, step))
    suite.update_statistics()  # type: ignore[no-untyped-call]  # junitparser has no types here
    xml = JUnitXml()
    xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]  # as above
    return str(xml.tostring().decode())  # type: ignore[no-untyped-call]  # as above


def _verdict_case(result: Result) -> TestCase:
    case = TestCase("verdict", classname=f"blackstart.{result.drill}")
    text = "\n".join(result.reasons)
    if result.verdict is Verdict.BLOCKED:
        case.result = [Skipped(result.sentence, text)]
    elif result.verdict is Verdict.FAIL:
        # The objectives below carry the failures; the verdict would count them twice.
        case.system_out = result.sentence
    elif result.verdict is not Verdict.PASS:
        case.result = [_with_text(Error(result.sentence, result.verdict.value), text)]
    return case


def _objective_case(result: Result, objective: ObjectiveResult) -> TestCase:
    case = TestCase(
        f"{objective.service} {objective.kind} {objective.objective}", classname=f"blackstart.{result.drill}"
    )
    if objective.met is None:
        ran = result.verdict not in (Verdict.INVALID, Verdict.BLOCKED)
        case.result = [Error(objective.detail, "unknown") if ran else Skipped(objective.detail)]
    elif objective.met is False:
        case.result = [Failure(objective.detail, "missed")]
    elif objective.measured is not None and objective.kind in ("rto", "failback"):
        case.time = objective.measured
    return case


def _step_case(result: Result, step: StepResult) -> TestCase:
    case = TestCase(f"{step.part} {step.step}", classname=f"blackstart.{result.drill}")
    if step.duration_s is not None:
        case.time = step.duration_s
    if step.outcome == "failed":
        case.result = [Failure(step.detail, "failed")]
    elif step.outcome != "done":
        ran = result.verdict not in (Verdict.INVALID, Verdict.BLOCKED)
        case.result = [Error(step.detail, step.outcome) if ran else Skipped(step.detail)]
    return case


def _with_text(error: Error, text: str) -> Error:
    error.text = text
    return error
