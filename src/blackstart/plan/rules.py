"""What a lint rule is: a function from a subject to findings, with an id that never changes its meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from blackstart.schema.errors import Finding, Severity

type Check[S] = Callable[[S], Iterator[Finding]]


@dataclass(frozen=True)
class Rule[S]:
    """One rule. An error stops a run, a warning does not, an info is for the reader only.

    `title` says what holds when there is nothing to say; `why` and `link` are
    for those who doubt it; `fix` is what to do where a finding has no other.
    """

    id: str
    severity: Severity
    title: str
    check: Check[S]
    why: str = ""
    fix: str = ""
    link: str = ""

    def __call__(self, subject: S) -> Iterator[Finding]:
        """The findings, stamped with the rule's id and severity."""
        for finding in self.check(subject):
            yield replace(finding, rule=self.id, severity=self.severity, fix=finding.fix or self.fix)


def form(id: str, title: str) -> Rule[Any]:
    """The rule of what is found while a file is read, before there is anything to check."""
    return Rule(id, "error", title, lambda _: iter(()))


class Rules[S]:
    """The rules for one kind of subject, filled by decorating their checks."""

    def __init__(self) -> None:
        self.all: list[Rule[S]] = []

    def add(
        self, id: str, severity: Severity, title: str, *, why: str = "", fix: str = "", link: str = ""
    ) -> Callable[[Check[S]], Check[S]]:
        """Register the decorated function."""

        def register(check: Check[S]) -> Check[S]:
            self.all.append(Rule(id, severity, title, check, why, fix, link))
            return check

        return register

    def __call__(self, subject: S) -> list[Finding]:
        """Everything that any rule finds."""
        return [finding for rule in self.all for finding in rule(subject)]
