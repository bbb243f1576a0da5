"""Waiting for a state of the world, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

from blackstart.faults.base import FaultError
from blackstart.fleet.errors import FleetError
from blackstart.fleet.kube import WrongCluster

_PAUSE = 0.2


class NotYet(Exception):  # noqa: N818 - not an error until the deadline
    """What is still missing."""


def wait_for(what: str, deadline: float, look: Callable[[], str]) -> str:
    """Look again and again until `look` returns; it raises NotYet while it must be waited.

    A part of the fleet that does not answer is waited for, too. Raises
    FaultError after `deadline` seconds with what was missing last.
    """
    until = time.monotonic() + deadline
    while True:
        try:
            return look()
        except WrongCluster:
            raise
        except (NotYet, FleetError) as error:
            if time.monotonic() >= until:
                raise FaultError(f"{what}: not within {deadline:g} s: {error}") from error
        time.sleep(_PAUSE)
