"""What a lint rule is: a function from a subject to findings, with an id that never changes its meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from blackstart.schema.errors import Finding, Severity

type Check[S] = Callable[[S], Iterator[Finding]]


@dataclass(frozen=True)
class Rule[S]:
    """One rule. An error stops a run, a warning does not, an info is for the reader only."""

    id: str
    severity: Severity
    title: str
    check: Check[S]

    def __call__(self, subject: S) -> Iterator[Finding]:
        """The findings, stamped with the rule's id and severity."""
        for finding in self.check(subject):
            yield replace(finding, rule=self.id, severity=self.severity)


class Rules[S]:
    """The rules for one kind of subject, filled by decorating their checks."""

    def __init__(self) -> None:
        self.all: list[Rule[S]] = []

    def add(self, id: str, severity: Severity, title: str) -> Callable[[Check[S]], Check[S]]:
        """Register the decorated function."""

        def register(check: Check[S]) -> Check[S]:
            self.all.append(Rule(id, severity, title, check))
            return check

        return register

    def __call__(self, subject: S) -> list[Finding]:
        """Everything that any rule finds."""
        return [finding for rule in self.all for finding in rule(subject)]
