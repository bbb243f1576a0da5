"""Static checks of content: every rule over a drill and what it names, without touching any cluster."""

from __future__ import annotations

from collections.abc import Iterable

from blackstart.plan.content import Content, Experiment, Probe
from blackstart.plan.drill_rules import DRILL_RULES
from blackstart.plan.experiment_rules import EXPERIMENT_RULES
from blackstart.plan.ledger_rules import LEDGER_RULES
from blackstart.plan.metric_rules import METRIC_RULES
from blackstart.plan.probe_rules import PROBE_RULES
from blackstart.plan.procedure_rules import PROCEDURE_RULES
from blackstart.plan.restore_rules import RESTORE_RULES
from blackstart.plan.rules import Rule
from blackstart.schema.errors import Finding

_ALL: list[Rule[Content] | Rule[Experiment] | Rule[Probe]] = [
    *DRILL_RULES.all,
    *METRIC_RULES.all,
    *LEDGER_RULES.all,
    *PROBE_RULES.all,
    *EXPERIMENT_RULES.all,
    *PROCEDURE_RULES.all,
    *RESTORE_RULES.all,
]
RULES = sorted(_ALL, key=lambda rule: rule.id)
"""Every rule, in the order of the manual."""


def lint_drill(content: Content) -> list[Finding]:
    """Everything to say about a drill, its experiment and its probes, sorted by place."""
    rules = DRILL_RULES, METRIC_RULES, LEDGER_RULES, PROCEDURE_RULES, RESTORE_RULES
    findings = [finding for each in rules for finding in each(content)]
    if content.experiment:
        findings += EXPERIMENT_RULES(content.experiment)
    for probe in content.probes.values():
        findings += PROBE_RULES(probe)
    return in_order(findings)


def lint_experiment(experiment: Experiment) -> list[Finding]:
    """Everything to say about an experiment by itself."""
    return in_order(EXPERIMENT_RULES(experiment))


def lint_probe(probe: Probe) -> list[Finding]:
    """Everything to say about a probe by itself."""
    return in_order(PROBE_RULES(probe))


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once, sorted by place."""
    return sorted(
        dict.fromkeys(findings), key=lambda f: (f.place.file, f.place.line or 0, f.place.column or 0, f.rule)
    )
