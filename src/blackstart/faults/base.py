"""What every fault has in common.

A kind of fault is one module `blackstart.faults.<kind>` with a `FAULT` that
implements `Fault`. The order of writing is kept by `blackstart.faults.inject`,
not by the faults: record on disk, change, record; confirm by a control probe.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from blackstart.evidence.undo import Undo
from blackstart.fleet.model import ControlPath, Fleet
from blackstart.schema.errors import BlackstartError


class FaultError(BlackstartError):
    """The fault could not be applied, confirmed or reverted; says place, cause and next step."""


class Conflict(FaultError):  # noqa: N818 - a state of the world, not a mistake
    """Someone else changed the object since; nothing was overwritten."""


def for_each[T](things: Iterable[T], work: Callable[[T], None]) -> None:
    """Do the work for every thing, also after a conflict at another. Raises Conflict with all of them."""
    conflicts = []
    for thing in things:
        try:
            work(thing)
        except Conflict as error:
            conflicts.append(str(error))
    if conflicts:
        raise Conflict("; ".join(conflicts))


class Fenced(FaultError):  # noqa: N818 - a state of the world, not a mistake
    """This process may not change anything any more: it is being put back, or it was asked to undo."""


Fencing = Callable[[Collection[str]], None]
"""Raises BlackstartError unless this process may change something in these regions now."""


def unfenced(regions: Collection[str]) -> None:
    """No fence, as under plain `chaos run`."""


@dataclass(frozen=True)
class Target:
    """One thing that a fault changes: a name for people, plain data for the fault itself, the regions it is in."""

    name: str
    data: dict[str, Any]
    regions: tuple[str, ...]


class Fault(Protocol):
    """One kind of fault. Every method is idempotent and ends within its deadline.

    Besides what is said below, every method may raise FleetError when a part
    of the fleet does not answer. For a guardian in the cluster a fault says,
    where it is not as usual: `guarded = False`, it has nothing to put back;
    `verbs`, what putting back takes ("get", "patch"); `slipped = True`, the
    record is on a slip, not on the object. `immediate = True`: it has had its
    effect once `apply` returns, however long the proof takes.
    """

    kind: str

    def targets(self, fleet: Fleet, args: dict[str, Any]) -> list[Target]:
        """What the arguments select, never nothing; raises FaultError."""

    def capture(self, fleet: Fleet, target: Target) -> dict[str, Any]:
        """The state before, as plain JSON data. Raises FaultError when the fault would change nothing."""

    def control_paths(self, fleet: Fleet, target: Target, before: dict[str, Any]) -> list[ControlPath]:
        """Every path that the fault claims to cut; empty when it claims none."""

    def apply(self, fleet: Fleet, undo: Undo, fence: Callable[[], None]) -> None:
        """Make the change; `undo` is on disk by now. Raises FaultError.

        What is based on something read calls `fence` between the reading and
        the write, which names the version read.
        """

    def confirm(self, fleet: Fleet, undo: Undo, within: float) -> str:
        """What shows, besides the control paths, that the change is there, by `within` seconds. Raises FaultError."""

    def revert(self, fleet: Fleet, undo: Undo) -> None:
        """Put back what `undo` says, applied or not; raises Conflict when someone else changed it since."""

    def confirm_reverted(self, fleet: Fleet, undo: Undo) -> str:
        """What shows that it is as before, waiting up to the fault's deadline; raises FaultError."""


@runtime_checkable
class Expiring(Protocol):
    """A fault that ends by itself unless it is renewed."""

    def renew(self, fleet: Fleet, undo: Undo, ttl: float) -> None:
        """Let it last `ttl` seconds from now. Raises fleet.nft.Expired when it has ended already."""


def fault_of(kind: str) -> Fault:
    """The fault of a kind such as `delete-pods`. Raises FaultError."""
    try:
        if not re.fullmatch(r"[a-z]+(-[a-z]+)*", kind):
            raise ImportError(kind)
        fault: Fault = importlib.import_module(f"blackstart.faults.{kind.replace('-', '_')}").FAULT
    except (ImportError, AttributeError) as error:
        raise FaultError(f"unknown kind of fault {kind!r}; was the record written by a newer version?") from error
    return fault
