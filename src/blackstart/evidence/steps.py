"""What a run writes down of the steps of its procedures."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from blackstart.evidence.record import Record


class StepState(StrEnum):
    """A step of a procedure: `not_executed`, nobody did it."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    NOT_EXECUTED = "not_executed"


class StepEvent(Record):
    """A step of the procedure, or of the one that leads home (`failback`), changed its state.

    `by`: who does it; `flag`: a person's part, answered beforehand.
    """

    type: Literal["step"] = "step"
    part: Literal["procedure", "failback"]
    step: str = Field(description="its name, unique within its part")
    kind: str
    by: Literal["machine", "person", "flag"]
    state: StepState
    detail: str = ""
