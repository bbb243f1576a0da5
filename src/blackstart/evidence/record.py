"""What all records of the evidence have in common."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """One thing that is written down: strict, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reason(StrEnum):
    """Why a probe has no data."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    EMPTY = "empty"
    PARTIAL = "partial"
    STALE = "stale"
    MALFORMED = "malformed"
    UNAUTHORISED = "unauthorised"
