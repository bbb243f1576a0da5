"""The verdict: gates in order, the worst first. PASS is what is left when no gate has a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from blackstart.judge import gates
from blackstart.judge.gates import Findings
from blackstart.schema.result import Verdict


@dataclass(frozen=True)
class Gate:
    """A verdict, and what leads to it."""

    verdict: Verdict
    reasons: Callable[[Findings], Iterator[str]]


GATES = (
    Gate(Verdict.UNSAFE, gates.not_put_back),
    Gate(Verdict.BLOCKED, gates.blocked),
    Gate(Verdict.INVALID, gates.refused),
    Gate(Verdict.FAIL, gates.missed_before_the_stop),
    Gate(Verdict.ABORTED, gates.stopped_early),
    Gate(Verdict.INVALID, gates.bad_baseline),
    Gate(Verdict.INVALID, gates.not_broken),
    Gate(Verdict.INCONCLUSIVE, gates.silent_clients),
    Gate(Verdict.INCONCLUSIVE, gates.incomplete),
    Gate(Verdict.INCONCLUSIVE, gates.not_rehearsed),
    Gate(Verdict.FAIL, gates.objective_missed),
    Gate(Verdict.FAIL, gates.step_failed),
    Gate(Verdict.INCONCLUSIVE, gates.objective_unknown),
    Gate(Verdict.INCONCLUSIVE, gates.not_felt),
)
"""In this order; the first gate with a reason decides."""


def decide(findings: Findings) -> tuple[Verdict, list[str]]:
    """The verdict with its reasons: those of the gate that decides, then what the later ones of its kind add."""
    verdict: Verdict | None = None
    reasons: list[str] = []
    for gate in GATES:
        if verdict in (None, gate.verdict):
            found = list(gate.reasons(findings))
            verdict = gate.verdict if found else verdict
            reasons += found
        if verdict is not None and _nothing_ran(findings):
            break
    return verdict or Verdict.PASS, list(dict.fromkeys(reasons))


def _nothing_ran(findings: Findings) -> bool:
    """Refused or blocked: what a run would have shown is beside the point."""
    end = findings.case.history.end
    return end is not None and end.body.how in ("refused", "blocked")
