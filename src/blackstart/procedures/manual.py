"""What a person does and confirms."""

from __future__ import annotations

from blackstart.fleet.model import Fleet
from blackstart.procedures.base import By, Deadline, Kind, Work
from blackstart.schema.procedure import Step


class Manual:
    """A prompt with a deadline, or an answer given beforehand."""

    kind = "manual"
    by: By = "person"

    def run(self, work: Work, step: Step, deadline: Deadline) -> str:
        """Raises NotExecuted when nobody answers."""
        if step.name in work.confirmed:
            return f"answered beforehand by --confirm: {step.manual}"
        work.ask(step.name, str(step.manual), deadline.left, work.stopped)
        return f"confirmed on the terminal: {step.manual}"

    def needs(self, fleet: Fleet, step: Step) -> list[str]:
        """Somebody."""
        return [f"a person at the terminal, or `--confirm {step.name!r}`"]


STEP: Kind = Manual()
