"""Injects faults and puts them back, in the order that survives a crash at any point.

Inject: check the clusters' identity, capture, open the control probe, record
on disk, change, record, prove. Restore: revert, record, confirm, record.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from blackstart.evidence.events import Emit
from blackstart.evidence.failpoints import failpoint
from blackstart.evidence.records import MADE, FaultEvent, FaultState, Interval, Note
from blackstart.evidence.undo import Entry, Store, Undo, UndoError, now
from blackstart.faults.base import Conflict, Fault, FaultError, Fencing, Target, fault_of, unfenced
from blackstart.faults.clusters import same_fleet, verify
from blackstart.faults.counting import tell
from blackstart.fleet.errors import FleetError
from blackstart.fleet.kube import KubeError, WrongCluster
from blackstart.fleet.model import Fleet
from blackstart.fleet.power import PowerError
from blackstart.probes.control import ControlProbe
from blackstart.schema.errors import BlackstartError

BITES_WITHIN = 20.0
"""Seconds after the change within which every control path must have failed."""

REVERTS_WITHIN = 60.0
"""Seconds for which a part of the fleet that does not answer is asked again to take a fault back."""


class Ineffective(FaultError):  # noqa: N818 - a finding
    """The change was made, but something that it claims to cut still works."""


@dataclass(frozen=True)
class Context:
    """The run that a fault belongs to."""

    run: str
    store: Store
    emit: Emit
    fence: Fencing = unfenced
    named: set[str] = field(default_factory=set)
    """Ids given to faults, also to those that never came to be armed."""

    def tell(self, undo: Undo, state: FaultState, detail: str = "", t0: Interval | None = None) -> None:
        """Emit a fault's new state."""
        self.emit(FaultEvent(fault=undo.fault, kind=undo.kind, target=undo.target, state=state, t0=t0, detail=detail))

    def note(self, undo: Undo, state: FaultState, detail: str = "") -> None:
        """Write down a fault's new state; a full disk must not stop what is being done."""
        try:
            self.store.record(undo, state, detail)
        except UndoError as error:
            self.emit(Note(level="warning", text=f"{undo.fault} stays on the list of what is outstanding: {error}"))


def inject(fault: Fault, fleet: Fleet, args: dict[str, Any], context: Context) -> list[str]:
    """Break every target that the arguments select; returns the ids of the faults.

    Raises FaultError, FleetError or UndoError. Whatever was changed by then
    is in the undo store; an event says for each fault how far it came.
    """
    try:
        targets = fault.targets(fleet, args)
    except BlackstartError as error:
        named = " ".join(f"{key}={value}" for key, value in sorted(args.items()))
        _never_armed(fault, _next_id(fault, context), named, error, context)
        raise
    return [_inject(fault, fleet, target, context) for target in targets]


def _inject(fault: Fault, fleet: Fleet, target: Target, context: Context) -> str:
    name = _next_id(fault, context)
    with ExitStack() as stack:
        try:
            clusters = verify(fleet, target.regions)
            before = fault.capture(fleet, target)
            paths = fault.control_paths(fleet, target, before)
            probe = stack.enter_context(ControlProbe(fleet, paths)) if paths else None
            failpoint("arm.before")
            undo = _record(fault, fleet, target, name, clusters, before, context)
            failpoint("arm.after")
        except BlackstartError as error:
            _never_armed(fault, name, target.name, error, context)
            raise
        context.tell(undo, FaultState.ARMED)
        earliest = time.monotonic()
        _apply(fault, fleet, undo, context)
        # Some take until they are proven to find their effect, others have had it when they return.
        latest = time.monotonic() if getattr(fault, "immediate", False) else None
        _prove(fault, fleet, undo, probe, (earliest, latest), context)
    # The control probe has ended: whoever tries from now on is somebody else.
    tell(fault, fleet, undo, context.emit, paths)
    return name


def _record(
    fault: Fault,
    fleet: Fleet,
    target: Target,
    name: str,
    clusters: dict[str, str],
    before: dict[str, Any],
    context: Context,
) -> Undo:
    undo = Undo(
        run=context.run,
        fault=name,
        kind=fault.kind,
        target=target.name,
        fleet=str(fleet.source or ""),
        clusters=clusters,
        data=target.data,
        before=before,
        at=now(),
    )
    context.store.arm(undo)
    return undo


def _apply(fault: Fault, fleet: Fleet, undo: Undo, context: Context) -> None:
    def fence() -> None:
        context.fence(tuple(undo.clusters))

    try:
        fence()
        fault.apply(fleet, undo, fence)
        failpoint("apply.after")
    except BlackstartError as error:
        # It may have changed something before it failed: it stays outstanding and is reverted.
        context.tell(undo, FaultState.FAILED, str(error))
        raise
    context.note(undo, FaultState.APPLIED)
    failpoint("applied.after")
    context.tell(undo, FaultState.APPLIED)


def _prove(
    fault: Fault,
    fleet: Fleet,
    undo: Undo,
    probe: ControlProbe | None,
    made: tuple[float, float | None],
    context: Context,
) -> None:
    earliest, latest = made
    try:
        if probe is None:
            detail = fault.confirm(fleet, undo, BITES_WITHIN)
            t0 = Interval(earliest=earliest, latest=latest or time.monotonic())
        else:
            effect = probe.wait_effective(BITES_WITHIN, earliest)
            detail, t0 = f"{effect.detail}; {fault.confirm(fleet, undo, BITES_WITHIN)}", effect.t0
    except BlackstartError as error:
        context.tell(undo, FaultState.INEFFECTIVE, str(error))
        raise Ineffective(f"{undo.kind} {undo.target}: {error}") from error
    failpoint("confirm.after")
    context.note(undo, FaultState.CONFIRMED, detail)
    failpoint("confirmed.after")
    context.tell(undo, FaultState.CONFIRMED, detail, t0)


def _never_armed(fault: Fault, name: str, target: str, error: Exception, context: Context) -> None:
    context.emit(FaultEvent(fault=name, kind=fault.kind, target=target, state=FaultState.FAILED, detail=str(error)))


def _next_id(fault: Fault, context: Context) -> str:
    taken = context.named.union(context.store.faults(context.run))
    numbers = [int(name.rpartition("-")[2]) for name in taken if name.rpartition("-")[0] == fault.kind]
    name = f"{fault.kind}-{max(numbers, default=0) + 1}"
    context.named.add(name)
    return name


def still_there(entries: Iterable[Entry], fleet: Fleet, context: Context) -> None:
    """Say of every proven fault that is no longer in place that it is ineffective: the hold proved nothing then."""
    for entry in entries:
        if entry.state is FaultState.CONFIRMED and entry.undo.kind not in MADE:
            try:
                fault_of(entry.undo.kind).confirm(fleet, entry.undo, within=0)
            except BlackstartError as error:
                if isinstance(error, FleetError) or isinstance(error.__cause__, FleetError):
                    # Another fault of the run may be the reason; not seeing is not seeing that it is gone.
                    context.emit(
                        Note(level="warning", text=f"{entry.undo.id}: not looked at before the undo: {error}")
                    )
                else:
                    context.tell(entry.undo, FaultState.INEFFECTIVE, f"gone before the undo began: {error}")


def restore(entry: Entry, fleet: Fleet, context: Context) -> FaultState:
    """Put one fault back and prove it, as `restore_held` does, while no other process puts the run back."""
    with context.store.restoring(entry.undo.run):
        return restore_held(entry, fleet, context)


def restore_held(entry: Entry, fleet: Fleet, context: Context, within: float = REVERTS_WITHIN) -> FaultState:
    """Put one fault back and prove it; returns the state in which it ends. The caller is inside `Store.restoring`.

    Idempotent: what is back already is only confirmed. A part of the fleet
    that does not answer is asked again for `within` seconds. Raises FaultError,
    FleetError or UndoError when it stays outstanding; CONFLICT is returned.
    """
    undo = entry.undo
    latest = context.store.read(undo.run).latest.get(undo.id, entry)
    if not latest.outstanding:
        return latest.state
    same_fleet(fleet, undo)
    fault = fault_of(undo.kind)
    try:
        failpoint("revert.before")
        tell(fault, fleet, undo, context.emit)
        _revert(fault, fleet, undo, within)
        failpoint("revert.after")
    except Conflict as error:
        if latest.state is not FaultState.CONFLICT:
            context.note(undo, FaultState.CONFLICT, str(error))
        context.tell(undo, FaultState.CONFLICT, str(error))
        return FaultState.CONFLICT
    context.note(undo, FaultState.REVERTED)
    failpoint("reverted.after")
    context.tell(undo, FaultState.REVERTED)
    detail = fault.confirm_reverted(fleet, undo)
    failpoint("confirm_reverted.after")
    context.note(undo, FaultState.CONFIRMED_REVERTED, detail)
    failpoint("confirm_reverted.recorded")
    context.tell(undo, FaultState.CONFIRMED_REVERTED, detail)
    return FaultState.CONFIRMED_REVERTED


def restore_all(entries: Iterable[Entry], fleet: Fleet, context: Context) -> list[str]:
    """Put faults back in the given order, whatever becomes of each; returns the ids of those that are not back."""
    left = []
    for entry in entries:
        try:
            state = restore(entry, fleet, context)
        except Exception as error:  # noqa: BLE001 - nothing that goes wrong with one may keep the others broken
            context.emit(Note(level="error", text=f"{entry.undo.id} is not put back: {told(error)}"))
            left.append(entry.undo.fault)
        else:
            left += [entry.undo.fault] if state is FaultState.CONFLICT else []
    return left


def told(error: Exception) -> str:
    """What an error says; one that was not foreseen says its kind, too."""
    return str(error) if isinstance(error, BlackstartError) else f"{type(error).__name__}: {error}"


def _revert(fault: Fault, fleet: Fleet, undo: Undo, within: float) -> None:
    until = time.monotonic() + within
    while True:
        try:
            return fault.revert(fleet, undo)
        except FleetError as error:
            if not may_pass(error) or time.monotonic() >= until:
                raise
        time.sleep(0.5)


def may_pass(error: FleetError) -> bool:
    """Whether asking again may help: no answer, or one that says that the server is busy or ill."""
    if isinstance(error, WrongCluster):
        return False
    if isinstance(error, KubeError):
        return error.status is None or error.status in (409, 429) or error.status >= 500
    return isinstance(error, PowerError)
