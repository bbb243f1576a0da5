"""What all activities of one process share: the run they belong to, its fleet, its undo store, its events."""

from __future__ import annotations

import atexit
import os
import secrets
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from blackstart.evidence.events import emitter
from blackstart.evidence.undo import Store
from blackstart.faults.base import FaultError
from blackstart.faults.inject import Context
from blackstart.fleet.load import load_fleet
from blackstart.fleet.model import Fleet
from blackstart.safety.fence import installed

RUN = "BLACKSTART_RUN"
LEASE = "BLACKSTART_LEASE"


@cache
def context() -> Context:
    """This process's run: the supervisor's, or under plain `chaos run` one of its own."""
    run = os.environ.get(RUN) or f"chaos-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    store = Store()
    held = ExitStack()
    held.enter_context(store.alive(run))
    atexit.register(held.close)
    return Context(run, store, emitter(os.environ), installed())


def lease() -> float | None:
    """Seconds after which what is not renewed expires; None where nobody renews, as under plain `chaos run`."""
    seconds = os.environ.get(LEASE)
    return float(seconds) if seconds else None


def fleet_of(configuration: dict[str, Any] | None) -> Fleet:
    """The fleet that the experiment's configuration names. Raises FaultError, ContentError."""
    path = (configuration or {}).get("fleet")
    if not isinstance(path, str):
        raise FaultError(
            "the experiment does not say which fleet it is for; add `configuration: {fleet: {type: env, "
            "key: BLACKSTART_FLEET, default: .blackstart/lab/fleet.yaml}}`"
        )
    return load_fleet(Path(path))
