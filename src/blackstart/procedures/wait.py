"""Time that people take: to notice, to meet, to decide."""

from __future__ import annotations

import time

from blackstart.fleet.model import Fleet
from blackstart.procedures.base import By, Deadline, Kind, NotExecuted, Work
from blackstart.schema.procedure import Step

_LOOK = 0.05


class Wait:
    """Nothing happens for a while."""

    kind = "wait"
    by: By = "person"

    def run(self, work: Work, step: Step, deadline: Deadline) -> str:
        """Ends at once when the run does."""
        while deadline.left > 0:
            if work.stopped():
                raise NotExecuted("the run ended early")
            time.sleep(min(_LOOK, deadline.left))
        return f"{step.longest:g} s, as the drill says"

    def needs(self, fleet: Fleet, step: Step) -> list[str]:
        """Nothing."""
        return []


STEP: Kind = Wait()
